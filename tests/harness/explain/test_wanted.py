from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.capture_rings import RINGS_OCTETS, WantedCaptures
from harness.errors import ArgumentsError
from harness.explain.wanted import wanted_captures, write_wanted


@pytest.mark.parametrize(
    ("word", "everybody", "numbers"),
    [
        (None, False, ()),
        ("none", False, ()),
        ("all", True, ()),
        ("0", False, ()),
        ("3", False, (0, 1, 2)),
        ("9999", False, tuple(range(20))),
        ("MSC0000000000001", False, (0,)),
        ("MSC0000000000020, MSC0000000000003", False, (19, 2)),
    ],
)
def test_a_word_names_concentrators(
    word: str | None, everybody: bool, numbers: tuple[int, ...]
) -> None:
    wanted = wanted_captures(word, 20)
    assert (wanted.everybody, wanted.numbers) == (everybody, numbers)
    assert (wanted.rings_octets == 0) is (word == "none")


@pytest.mark.parametrize(
    ("word", "advice"),
    [
        ("al", "did you mean all?"),
        ("nobody-at-all-of-them", "names such as MSC0000000000001"),
        ("MSC1", "is no concentrator"),
        ("MST0000000000001", "is no concentrator"),
        ("MSC0000000000021", "the last concentrator is MSC0000000000020"),
        ("MSC0000000000000", "the last concentrator is MSC0000000000020"),
    ],
)
def test_a_word_that_names_nobody_says_what_would(word: str, advice: str) -> None:
    with pytest.raises(ArgumentsError) as raised:
        wanted_captures(word, 20)
    assert advice in str(raised.value)


@pytest.mark.parametrize(
    ("concentrators", "ring"), [(20, 65_536), (1_000, 33_554), (20_000, 8_192)]
)
def test_rings_are_smaller_where_there_are_more(concentrators: int, ring: int) -> None:
    assert wanted_captures(None, concentrators).ring_octets == ring


def test_shards_share_what_rings_may_take(tmp_path: Path) -> None:
    write_wanted(tmp_path, None, 1_000, 4)
    assert WantedCaptures.load(tmp_path).rings_octets == RINGS_OCTETS // 4
    assert json.loads((tmp_path / "captures.json").read_text())["everybody"] is False
