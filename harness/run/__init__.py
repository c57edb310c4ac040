"""A run, from a scenario to a recorded folder with its verdict."""

from harness.run.command import run_scenario

__all__ = ["run_scenario"]
