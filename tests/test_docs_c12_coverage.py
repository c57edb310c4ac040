"""The coverage page of ANSI C12 names every module, service, table and procedure there is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from protocols.c12.meter.schema import MeterSchema
from protocols.c12.plugin.options import C12Options
from protocols.c12.services import MAX_BAUD_CODES, MAX_INDEXES, ServiceCode
from protocols.c12.services.table import BY_CODE
from protocols.c12.tables.configuration import MANUFACTURER_BASE
from protocols.c12.tables.procedures import PROCEDURES
from protocols.c12.tables.registry import table_label

ROOT: Final = Path(__file__).parent.parent
PAGE: Final = (ROOT / "docs/reference/coverage/c12.md").read_text(encoding="utf-8")
SCHEMA: Final[MeterSchema] = C12Options().schema


def rows(head: str) -> list[list[str]]:
    """Return the cells of each row of the table whose head begins with ``head``."""
    (table,) = [part for part in PAGE.split("\n\n") if part.startswith(f"| {head} |")]
    lines = table.strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_module_is_named() -> None:
    named = set(re.findall(r"`(protocols/c12/[\w/]+\.py)`", PAGE))
    modules = {str(path.relative_to(ROOT)) for path in ROOT.glob("protocols/c12/**/*.py")}
    assert {name for name in modules if not name.endswith("__init__.py")} == named


def test_every_service_is_in_the_table_of_codes() -> None:
    codes: set[int] = set()
    for code, *_ in rows("code | service"):
        for part in code.split(", "):
            first, _, last = part.partition(" to ")
            codes.update(range(int(first, 16), int(last or first, 16) + 1))
    assert codes == set(BY_CODE)
    assert {ServiceCode.FULL_READ + MAX_INDEXES, ServiceCode.NEGOTIATE + MAX_BAUD_CODES} < codes


def test_every_table_is_told_as_the_meters_have_it() -> None:
    configuration = SCHEMA.configuration
    assert [row[:2] + row[3:5] for row in rows("table | name")] == [
        [
            table_label(table.number),
            table.name,
            "yes" if configuration.uses_table(table.number) else "",
            "yes" if configuration.may_write_table(table.number) else "",
        ]
        for table in SCHEMA.registry
    ]


def test_every_procedure_of_a_meter_is_told() -> None:
    configuration = SCHEMA.configuration
    standard = sorted(configuration.standard_procedures_used)
    own = sorted(configuration.manufacturer_procedures_used)
    told = rows("procedure | name")
    assert [row[0] for row in told] == [
        *map(str, standard),
        *(f"{MANUFACTURER_BASE} + {number}" for number in own),
    ]
    assert [row[1] for row in told[: len(standard)]] == [PROCEDURES[n].name for n in standard]
