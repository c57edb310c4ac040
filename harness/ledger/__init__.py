"""The ledger: every reading owed, against what was sent, acknowledged and stored."""
