from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.locate import Locator, Path

# Every "@" becomes the number of its line, so tomllib itself says where a value stands.
LEAF = "@"

DISTRACTIONS = [
    "",
    "# [not.a.table]",
    "  # key = 'value'",
]
BARE_KEYS = st.from_regex(r"[A-Za-z0-9_-]{1,4}", fullmatch=True)
QUOTED_KEYS = st.sampled_from(['"a.b"', "'x = 1'", '"\\"q\\""', '"#[]"', "'{'", '"\\u00e9"', '""'])
KEYS = st.one_of(BARE_KEYS, QUOTED_KEYS)
NOISE = st.sampled_from(
    [
        '"a [b] = \\" # c"',
        "'}, # \\'",
        '"""\n[x]\nkey = 1 \\"\\"\\" # no\n"""',
        '"""ends in a quote""""',
        "'''\n[[y]]\nkey = '' # \\'''",
        "1979-05-27T07:32:00Z",
        "1979-05-27 07:32:00",
        "true",
        "-1_000.5e3",
    ]
)


def arrays(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    separators = st.sampled_from([", ", ",\n  ", " ,\n# , ]\n"])
    ends = st.sampled_from(["", ",", "\n", ",\n# end ]\n"])
    return st.builds(
        lambda items, separator, end: f"[{separator.join(items)}{end if items else ''}]",
        st.lists(inner, max_size=3),
        separators,
        ends,
    )


def inline_tables(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.builds(
        lambda pairs: "{" + ", ".join(f"{key} = {value}" for key, value in pairs.items()) + "}",
        st.dictionaries(KEYS, inner, max_size=3),
    )


VALUES = st.recursive(
    st.one_of(st.just(LEAF), NOISE),
    lambda inner: arrays(inner) | inline_tables(inner),
    max_leaves=6,
)
DOTTED = st.lists(KEYS, min_size=1, max_size=3).map(".".join)
PAIRS = st.builds("{} = {} # = '".format, DOTTED, VALUES)
HEADERS = st.builds(
    "{1}{0}{2}".format, DOTTED, st.just("["), st.sampled_from(["]", " ] # [x]"])
) | st.builds("[[ {} ]]".format, DOTTED)
LINES = st.lists(st.one_of(PAIRS, PAIRS, HEADERS, st.sampled_from(DISTRACTIONS)), max_size=12)


def numbered(text: str) -> str:
    lines = text.split("\n")
    return "\n".join(line.replace(LEAF, str(number)) for number, line in enumerate(lines, 1))


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, object]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from leaves(inner, (*path, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from leaves(inner, (*path, index))
    else:
        yield path, value


def readable(lines: list[str]) -> str:
    """Return as many of ``lines`` as make a document: a redefined key is left out."""
    kept: list[str] = []
    for line in lines:
        try:
            tomllib.loads(numbered("\n".join([*kept, line])))
        except tomllib.TOMLDecodeError:
            continue
        kept.append(line)
    return numbered("\n".join(kept))


@given(LINES)
def test_every_number_is_found_on_the_line_it_names(lines: list[str]) -> None:
    text = readable(lines)
    locator = Locator(text)
    for path, value in leaves(tomllib.loads(text)):
        if type(value) is int:
            assert locator.line(path) == value, text


@given(LINES)
def test_windows_line_ends_change_no_line(lines: list[str]) -> None:
    text = readable(lines)
    windows = Locator(text.replace("\n", "\r\n"))
    for path, _ in leaves(tomllib.loads(text)):
        assert windows.line(path) == Locator(text).line(path)


DOCUMENT = """\
name = "x"

[grid]
sizes = [
  { share = "30 %" },
  { share = "70 %" },
]

[[timeline]]
at = "1 min"

[[timeline]]
at = "2 min"
[timeline.deep]
on = true
"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        (("grid",), 3),
        (("grid", "sizes", 1), 6),
        (("grid", "sizes", 1, "share"), 6),
        (("timeline",), 9),
        (("timeline", 1), 12),
        (("timeline", 1, "at"), 13),
        (("timeline", 1, "deep", "on"), 15),
        (("grid", "missing"), 3),
        (("nowhere", "at", "all"), 1),
        ((), 1),
    ],
)
def test_a_path_is_on_its_line_and_a_missing_one_on_its_parents(path: Path, line: int) -> None:
    assert Locator(DOCUMENT).line(path) == line
