"""What this build and this machine are: for ``--version``, ``doctor`` and the record of a run."""

from __future__ import annotations

import platform
import subprocess
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Final

PARTS: Final = ("construct", "cryptography", "duckdb", "locust", "numpy", "psycopg", "trio")
"""Distributions whose version can change what a run measures."""

_ROOT: Final = Path(__file__).resolve().parent.parent


def version() -> str:
    """Return Meterstorm's version, with the commit when it runs from a checkout: ``0.1.0+ab12``."""
    return metadata.version("meterstorm") + _commit()


def part_versions() -> Mapping[str, str]:
    """Return the version of the interpreter and of each of `PARTS`."""
    python = {platform.python_implementation(): platform.python_version()}
    return python | {part: metadata.version(part) for part in PARTS}


def build_facts() -> str:
    """Return what ``meterstorm --version`` prints."""
    parts = ", ".join(f"{part} {number}" for part, number in part_versions().items())
    return f"meterstorm {version()} on {platform.platform()}\n{parts}"


def _commit() -> str:
    if not (_ROOT / ".git").exists():
        return ""
    command = ["git", "-C", str(_ROOT), "describe", "--always", "--dirty"]
    try:
        described = subprocess.run(command, capture_output=True, text=True, timeout=5, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return f"+{described.stdout.strip()}"
