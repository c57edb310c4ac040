"""Runs benchmarks: ``python -m tests.bench [codec | plan | ...]``, all without names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from typing import Final

BENCHMARKS: Final = {
    "codec": "readings/s through the codecs, beside gurux-dlms, and what ciphering costs",
    "c12": "ANSI C12: EAX', tables, notification writes, C12.18 packets",
    "plan": "grid and 288-step plan at 3.5 million meters: time and memory",
    "batteries": "aggregates of 10, 100, 1,000 batteries: the model, and the service over HTTP",
    "billing": "bills/s at 100,000 and 1,000,000 meters, in DuckDB and PostgreSQL",
    "end_to_end": "a paced run of ciphered pushes: acknowledge latency and CPU of every process",
}
"""Name of a module of this package with a ``main()``, and what it measures."""


def main(names: list[str]) -> int:
    """Run the benchmarks called ``names``, or all there are; return the exit code."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        known = "\n".join(f"  {name:<12}{what}" for name, what in BENCHMARKS.items())
        print(f"no benchmark {', '.join(unknown)}; there are:\n{known}", file=sys.stderr)  # noqa: T201
        return 3
    for name in names or _present():
        print(f"== {name}: {BENCHMARKS[name]}", flush=True)  # noqa: T201
        importlib.import_module(f"tests.bench.{name}").main()
    return 0


def _present() -> list[str]:
    return [name for name in BENCHMARKS if importlib.util.find_spec(f"tests.bench.{name}")]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
