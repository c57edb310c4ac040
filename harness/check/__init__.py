"""Judging a recorded run: the ledger, the checks and the verdict, from the record alone."""

from harness.check.command import check_run

__all__ = ["check_run"]
