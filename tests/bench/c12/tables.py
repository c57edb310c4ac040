"""ST64 and ST23 both ways: construct as it interprets and compiles, lowered, and as numpy rows.

The tables are those of an emulated meter: a day of blocks, one interval each; and its registers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from protocols.c12.meter import (
    MeterSettings,
    decode_blocks,
    encode_blocks,
    meter_schema,
)
from protocols.c12.tables.register_rows import register_layout
from protocols.lowering.codec import plain
from protocols.readings import ReadingBatch
from tests.bench.c12.fleet import MIDNIGHT_S, NAMES, PERIOD_S, RELAY_NAME, SCHEMA, readings
from tests.bench.measuring import show, timed

BLOCKS: Final = 86_400 // PERIOD_S
AT_ONCE: Final = 1_000
BUDGET_S: Final = 0.4
DAY: Final = meter_schema(SCHEMA.registers, PERIOD_S, MeterSettings(blocks=BLOCKS))


INTERPRETED: Final = "construct"
COMPILED: Final = "construct, compiled"
STRUCT: Final = "lowered to struct code"
NUMPY: Final = "numpy rows"
FLEET: Final = f"{NUMPY}, {AT_ONCE:,} meters"


Way: TypeAlias = tuple[str, Callable[[], object], int]
"""What a way is called, the way, and how many units it does in one call."""


class Ways(NamedTuple):
    """The ways to read and to write a table, after all of them were found equal."""

    title: str
    unit: str
    decoding: list[Way]
    encoding: list[Way]


def main(console: Console) -> None:
    """Print the figures."""
    for ways in (load_profile(), registers()):
        for what, which in (("decode", ways.decoding), ("encode", ways.encoding)):
            lines = [timed(*way, BUDGET_S) for way in which]
            title = ways.title.format(what)
            show(console, title, lines, unit=ways.unit, base=lines[0])


def day() -> tuple[ReadingBatch, NDArray[np.uint32]]:
    """Return a day of one meter, midnight first, and what its registers were a period before."""
    steps = range(BLOCKS + 1)
    whole = np.concatenate([readings(step, 1).values for step in steps])
    batch = ReadingBatch(
        RELAY_NAME,
        np.array([NAMES[0]] * BLOCKS, "S16"),
        MIDNIGHT_S + PERIOD_S * np.arange(BLOCKS, dtype=np.int64),
        (np.arange(BLOCKS) % 16).astype(np.uint8),
        whole[1:],
    )
    return batch, whole[:-1]


def blocks_of(batch: ReadingBatch, before: NDArray[np.uint32]) -> dict[str, Any]:
    """Return what ST64 holds, as construct has it."""
    rows = zip(
        batch.captured_at_s.tolist(),
        batch.status.tolist(),
        batch.values.tolist(),
        (batch.values - before).tolist(),
        strict=True,
    )
    return {
        "blocks": [
            {
                "end_time": at_s,
                "end_readings": [{"value": value} for value in values],
                "intervals": [{"status": bytes((status << 4, 0, 0)), "data": rises}],
            }
            for at_s, status, values, rises in rows
        ]
    }


def load_profile() -> Ways:
    """Return the ways of ST64: a day of one meter, and one interval of 1,000 meters."""
    (batch, before), declaration = day(), DAY.declaration(64)
    values, compiled = blocks_of(batch, before), declaration.compile()
    octets = encode_blocks(DAY, batch, before).tobytes()
    codec = DAY.registry.codec(64, DAY.configuration, DAY.dimensions)
    assert codec.kind == "struct"
    for built in (declaration.build(values), codec.build(values)):
        assert built == octets
    for parsed in (declaration.parse(octets), compiled.parse(octets), codec.parse(octets)):
        assert plain(parsed) == values
    captures = decode_blocks(DAY, octets)
    for name in ("captured_at_s", "status", "values"):
        assert np.array_equal(getattr(captures, name), getattr(batch, name))
    many = readings(1, AT_ONCE)
    earlier = readings(0, AT_ONCE).values
    fleet = encode_blocks(DAY, many, earlier).tobytes()
    assert np.array_equal(decode_blocks(DAY, fleet).values, many.values)

    return Ways(
        f"ST64, {{}} (a meter's day: {BLOCKS} intervals, {len(octets):,} octets)",
        "interval",
        [
            (INTERPRETED, lambda: declaration.parse(octets), BLOCKS),
            (COMPILED, lambda: compiled.parse(octets), BLOCKS),
            (STRUCT, lambda: codec.parse(octets), BLOCKS),
            (f"{NUMPY}, one meter", lambda: decode_blocks(DAY, octets), BLOCKS),
            (FLEET, lambda: decode_blocks(DAY, fleet), AT_ONCE),
        ],
        [
            (INTERPRETED, lambda: declaration.build(values), BLOCKS),
            (STRUCT, lambda: codec.build(values), BLOCKS),
            (f"{NUMPY}, one meter", lambda: encode_blocks(DAY, batch, before), BLOCKS),
            (FLEET, lambda: encode_blocks(DAY, many, earlier), AT_ONCE),
        ],
    )


def registers() -> Ways:
    """Return the ways of ST23: totals and a demand, for all hours and for two rates."""
    configuration, dimensions = SCHEMA.configuration, SCHEMA.dimensions
    declaration = SCHEMA.declaration(23)
    compiled, layout = declaration.compile(), register_layout(configuration, dimensions)
    codec = SCHEMA.registry.codec(23, configuration, dimensions)
    assert codec.kind == "struct"
    meters = [registers_of(meter) for meter in range(AT_ONCE)]
    columns, values = columns_of(AT_ONCE), meters[0]
    octets = codec.build(values)
    fleet = layout.rows.encode(columns, AT_ONCE)
    assert fleet.tobytes() == b"".join(declaration.build(each) for each in meters)
    for parsed in (declaration.parse(octets), compiled.parse(octets), codec.parse(octets)):
        assert plain(parsed) == values
    found = layout.decode(fleet)
    assert found[:, 0].tolist() == [each["total"]["summations"] for each in meters]
    assert found[:, 2].tolist() == [each["tiers"][1]["summations"] for each in meters]
    return Ways(
        f"ST23, {{}} ({len(octets)} octets)",
        "table",
        [
            (INTERPRETED, lambda: declaration.parse(octets), 1),
            (COMPILED, lambda: compiled.parse(octets), 1),
            (STRUCT, lambda: codec.parse(octets), 1),
            (FLEET, lambda: layout.decode(fleet), AT_ONCE),
        ],
        [
            (INTERPRETED, lambda: declaration.build(values), 1),
            (STRUCT, lambda: codec.build(values), 1),
            (FLEET, lambda: layout.rows.encode(columns, AT_ONCE), AT_ONCE),
        ],
    )


def registers_of(meter: int) -> dict[str, Any]:
    """Return what ST23 of a meter holds, as construct has it."""
    numbers = range(1 + len(SCHEMA.plan.tiers))
    blocks = [
        {
            "summations": [1_000 * meter + number] * len(SCHEMA.plan.totals),
            "demands": [{"times": [MIDNIGHT_S + meter], "values": [2 * meter + number]}],
            "coincident_values": [],
        }
        for number in numbers
    ]
    return {"demand_resets": meter % 256, "total": blocks[0], "tiers": blocks[1:]}


def columns_of(meters: int) -> dict[str, Any]:
    """Return the same of the first ``meters`` as columns."""
    meter = np.arange(meters, dtype=np.int64)
    number = np.arange(1 + len(SCHEMA.plan.tiers))
    each = meter[:, None, None, None]
    summations = np.repeat(1_000 * each[..., 0] + number[:, None], len(SCHEMA.plan.totals), axis=2)
    times = np.broadcast_to(MIDNIGHT_S + each, (meters, len(number), 1, 1))
    values = 2 * each + number[:, None, None]

    def block(which: int | slice) -> dict[str, Any]:
        demands = {"times": times[:, which], "values": values[:, which]}
        return {"summations": summations[:, which], "demands": demands}

    return {"demand_resets": meter % 256, "total": block(0), "tiers": block(slice(1, None))}
