"""The table of docs/explanation/links.md: ``python -m tests.calibration.markdown FILE``.

FILE is what a calibration wrote as JSON.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from netem.profiles import LinkProfile, load_profiles
from tests.calibration.__main__ import EXTRA_PATH
from tests.calibration.job import CONNECT

HEAD: Final = (
    "| each way | octets | kernel: mean / p50 / p95 | floor: W1 / KS | model, netem order: W1 / KS "
    "| packet, netem order: W1 / KS | model, link order: mean | packet, link order: mean |",
    "|---|---|---|---|---|---|---|---|",
)


def lines(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield the table; what is not accepted is bold."""
    known = load_profiles(EXTRA_PATH)
    yield from HEAD
    for row in document["rows"]:
        compared = {(one["tier"], one["order"]): one for one in row["comparisons"]}
        kernel, mean_s = row["kernel"], row["kernel"]["mean_s"]
        is_first = row["quantity"] == CONNECT
        cells = [
            _name(row["profile"], known.get(row["profile"])) if is_first else "",
            CONNECT if is_first else f"{int(row['quantity']):,}",
            f"{mean_s:.3f} / {kernel['p50_s']:.2f} / {kernel['p95_s']:.2f}",
            f"{_percent(row['floor_w1_s'] / mean_s)} / {row['floor_ks']:.2f}",
            *(_distances(compared[tier, "netem"], mean_s) for tier in ("model", "packet")),
            *(_mean(compared[tier, "link"]) for tier in ("model", "packet")),
        ]
        yield f"| {' | '.join(cells)} |".replace("|  |", "| |")


def _name(name: str, profile: LinkProfile | None) -> str:
    if profile is None:
        return name
    up = profile.up
    jitter = f" ± {up.jitter * 1_000:.0f} ms" if up.jitter else " ms constant"
    told = f"{up.latency * 1_000:.0f}{jitter}, {up.loss.mean_ppm / 1e4:g} %"
    return f"{name}: {told}"


def _distances(one: Mapping[str, Any], kernel_mean_s: float) -> str:
    text = f"{_percent(one['w1_s'] / kernel_mean_s)} / {one['ks']:.2f}"
    return text if one["accepted"] else f"**{text}**"


def _mean(one: Mapping[str, Any]) -> str:
    text = f"{_percent(one['mean_difference'], '+')}"
    return text if one["accepted"] else f"**{text}**"


def _percent(share: float, sign: str = "") -> str:
    return f"{share * 100:{sign}.1f} %"


if __name__ == "__main__":
    found = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    sys.stdout.write("\n".join(lines(found)) + "\n")
