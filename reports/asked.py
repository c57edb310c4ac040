"""What the scenario asked for, laid out from its resolved form without knowing its keys."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from reports.text import clip, octets, seconds, share, span, without_passwords

__all__ = ["AskedSection", "AskedTable", "asked", "readable"]

_VALUE_MAX: Final = 160
_ROWS_MAX: Final = 60
_TITLES: Final = {"bal": "battery layer"}
_BASE_UNIT: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?) (s|ppm|B|bit/s|Wh)")


@dataclass(frozen=True, slots=True)
class AskedTable:
    """A list of alike entries of the scenario, such as its link classes."""

    title: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class AskedSection:
    """One table of the scenario file: its single values, then its lists."""

    title: str
    facts: tuple[tuple[str, str], ...]
    tables: tuple[AskedTable, ...]

    @property
    def wide(self) -> bool:
        """Whether the section needs the whole width of a page."""
        return bool(self.tables)


def asked(resolved: Mapping[str, Any]) -> tuple[AskedSection, ...]:
    """Lay out the resolved scenario: its loose values first, then its tables, empty ones left."""
    loose = {key: value for key, value in resolved.items() if not _is_table(value)}
    sections = [_section("scenario", loose)]
    sections += [_section(key, value) for key, value in resolved.items() if _is_table(value)]
    return tuple(section for section in sections if section.facts or section.tables)


def _is_table(value: object) -> bool:
    return isinstance(value, dict) or _is_list_of_tables(value)


def _is_list_of_tables(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(v, dict) for v in value)


def _section(title: str, value: Any) -> AskedSection:  # noqa: ANN401  (any JSON value)
    facts, tables = [], []
    for path, leaf in _leaves(value, ()):
        name = _words(" · ".join(path) or title)
        if _is_list_of_tables(leaf):
            tables.append(_table(name, leaf))
        else:
            facts.append((name, str(leaf) if path[-1:] == ("seed",) else readable(leaf)))
    words = _TITLES.get(title, _words(title)).capitalize()
    return AskedSection(words, tuple(facts), tuple(tables))


def _leaves(value: Any, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], Any]]:  # noqa: ANN401
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif value is not None and value != []:
        yield path, value


def _table(title: str, entries: Sequence[Mapping[str, Any]]) -> AskedTable:
    flat = [{" · ".join(p): leaf for p, leaf in _leaves(entry, ())} for entry in entries]
    keys = tuple(dict.fromkeys(key for entry in flat for key in entry))
    rows = [tuple(readable(entry.get(key, "")) for key in keys) for entry in flat[:_ROWS_MAX]]
    return AskedTable(title, tuple(map(_words, keys)), tuple(rows))


def _words(key: str) -> str:
    return key.replace("_", " ")


def readable(value: object) -> str:
    """Return a JSON value as text; quantities in base units get the unit a person would use."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return clip(", ".join(map(readable, value)), _VALUE_MAX)
    if isinstance(value, int) and abs(value) >= 10_000:
        return f"{value:,}"
    match = _BASE_UNIT.fullmatch(value) if isinstance(value, str) else None
    return (
        _quantity(float(match[1]), match[2])
        if match
        else clip(without_passwords(str(value)), _VALUE_MAX)
    )


def _quantity(value: float, unit: str) -> str:
    match unit:
        case "s":
            return span(value) if value >= 60 and value == int(value) else seconds(value)
        case "ppm":
            return share(value, 1e6)
        case "B":
            return octets(value)
        case _:
            return f"{value / 1000:,.6g} k{unit}" if value >= 1000 else f"{value:g} {unit}"
