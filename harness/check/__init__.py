"""Judging a recorded run: the ledger, the checks and the verdict, from the record alone."""
