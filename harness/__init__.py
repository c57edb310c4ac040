"""Systems under test, runs, ledgers, checks, the command line."""
