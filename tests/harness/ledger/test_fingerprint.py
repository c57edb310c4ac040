from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from harness.ledger.fingerprint import (
    FINGERPRINT_FILE,
    SlotPrint,
    changed_slots,
    read_fingerprint,
    write_fingerprint,
)
from tests.support.stored import HandMadeReader, StoredRow

ROWS = [StoredRow(meter, 900, 5_000_000 + meter, 0, (10, meter)) for meter in range(3)]


def slot_print(rows: list[StoredRow]) -> SlotPrint:
    return SlotPrint.of(HandMadeReader(rows, ("import_wh", "export_wh")).rows(900))


def test_the_order_of_writing_does_not_matter() -> None:
    assert slot_print(ROWS) == slot_print(ROWS[::-1])


@pytest.mark.parametrize(
    "tampered",
    [
        pytest.param(ROWS[:-1], id="a row removed"),
        pytest.param([*ROWS, ROWS[0]], id="a row doubled"),
        pytest.param([ROWS[0].altered(1), *ROWS[1:]], id="a value changed"),
        pytest.param([replace(ROWS[0], status=4), *ROWS[1:]], id="a status changed"),
        pytest.param([replace(ROWS[0], stored_at_us=1), *ROWS[1:]], id="a time changed"),
        pytest.param([replace(ROWS[0], profile=2), *ROWS[1:]], id="a profile changed"),
    ],
)
def test_every_change_of_a_slot_shows(tampered: list[StoredRow]) -> None:
    assert changed_slots({900: slot_print(ROWS)}, {900: slot_print(tampered)}) == [900]


def test_slots_that_came_or_went_have_changed() -> None:
    found = slot_print(ROWS)
    assert changed_slots({0: found, 900: found}, {900: found, 1800: found}) == [0, 1800]


def test_it_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    assert read_fingerprint(tmp_path) is None
    fingerprint = {900: slot_print(ROWS), 0: slot_print([])}
    write_fingerprint(tmp_path, fingerprint)
    assert read_fingerprint(tmp_path) == fingerprint


@pytest.mark.parametrize("text", ["", "[]", '{"900": 1}', '{"x": {"rows": 1, "digest": ""}}'])
def test_a_damaged_one_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / FINGERPRINT_FILE).write_text(text)
    with pytest.raises(ValueError):  # noqa: PT011 - JSON's and ours alike
        read_fingerprint(tmp_path)
