"""Every switch of ANSI C12 is on its page, with the default that the code has."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from enum import Enum, StrEnum
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

import pytest

from harness.scenario.c12 import C12
from protocols.c12 import options as association
from protocols.c12.meter.settings import MeterSettings, MeterSwitches
from protocols.c12.plugin.options import C12Options
from protocols.c12.psem import options as link
from protocols.c12.psem import server_options as device
from protocols.c12.tables.options import TableOptions

PAGE: Final = Path(__file__).parent.parent / "docs/reference/c12-switches.md"

TYPED: Final[Mapping[str, tuple[Any, ...]]] = {
    "MessageOptions": (association.MessageOptions(),),
    "ChannelOptions": (association.ChannelOptions(),),
    "ServerOptions": (association.ServerOptions(),),
    "ClientOptions": (association.ClientOptions(),),
    "Timing": (link.C12_18.timing, link.C12_21.timing),
    "LinkOptions": (link.C12_18, link.C12_21),
    "MeterSwitches": (MeterSwitches(),),
    "MeterSettings": (MeterSettings(),),
}
"""Types whose tables have a column for the type, with an object for each column of values."""

UNTYPED: Final[Mapping[str, tuple[Any, ...]]] = {
    "`C12Options`": (C12Options(),),
    "The device,": (device.C12_18_DEVICE, device.C12_21_DEVICE),
    "`TableOptions`": (TableOptions(),),
}
"""The same for tables about one type, by how the paragraph before them begins."""

IN_WORDS: Final = frozenset(
    {
        "base", "message", "identity of the node", "ed_class", "timing", "link", "features",
        "authentication of the device", "baud_codes", "switches", "logical_names",
    }
)  # fmt: skip
"""Fields whose values are told in words."""


def shown(value: object) -> str:
    match value:
        case StrEnum():
            return value.value
        case Enum():
            return value.name
        case bytes():
            return value.decode()
    return str(value)


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """Yield each table's rows, its head among them, and the paragraph before it."""
    paragraphs = PAGE.read_text(encoding="utf-8").split("\n\n")
    for before, text in pairwise(paragraphs):
        if text.startswith("|"):
            lines = [line.strip("|\n").split(" | ") for line in text.strip().splitlines()]
            yield before, [[cell.strip() for cell in line] for line in lines]


def typed_rows(name: str) -> dict[str, list[str]]:
    """Return the cells behind the field of each row of a type; its name is on the first."""
    found: dict[str, list[str]] = {}
    current = ""
    for _, rows in tables():
        if rows[0][0] == "type":
            for kind, field, *cells in rows[2:]:
                current = kind.strip("`") or current
                if current == name:
                    found[field.strip("`")] = cells
    return found


def rows_after(beginning: str) -> dict[str, list[str]]:
    (rows,) = [rows for before, rows in tables() if before.startswith(beginning)]
    return {field.strip("`"): cells for field, *cells in rows[2:]}


def hold(rows: Mapping[str, list[str]], objects: tuple[Any, ...]) -> None:
    assert list(rows) == [field.name for field in fields(objects[0])]
    for name, cells in rows.items():
        for one, cell in zip(objects, cells, strict=False):
            value = re.fullmatch(r"`(.+)`", cell)
            qualified = {
                (association.ServerOptions, "identity"): "identity of the node",
                (device.ServerOptions, "authentication"): "authentication of the device",
            }.get((type(one), name), name)
            if qualified in IN_WORDS:
                assert value is None
                assert cell
            else:
                assert value is not None, name
                assert value[1] == shown(getattr(one, name)), name


@pytest.mark.parametrize("name", TYPED)
def test_every_field_has_its_default(name: str) -> None:
    hold(typed_rows(name), TYPED[name])


@pytest.mark.parametrize("beginning", UNTYPED)
def test_every_field_of_the_only_type_of_a_table_has_its_default(beginning: str) -> None:
    hold(rows_after(beginning), UNTYPED[beginning])


def test_every_word_of_a_scenario_has_its_default() -> None:
    rows = rows_after("Table `[c12]`")
    words = {field.alias or name: field.default for name, field in C12.model_fields.items()}
    assert list(rows) == list(words)
    for name, default in words.items():
        told = rows[name][0].strip("`").strip('"')
        assert told == {True: "true", False: "false", None: "none"}.get(default, default), name


def test_every_switch_has_a_reason() -> None:
    assert all(row[-1] for _, rows in tables() for row in rows[2:])
