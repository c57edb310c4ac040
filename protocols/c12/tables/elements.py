"""Where an element of a table lies: index reads and writes in octets (C12.19 element indexes).

An index path selects a member of a record or an element of an array, level by level; bit fields,
texts, sets and numbers have nothing inside. Offset reads are plain slices of the table.

Whether an element that the configuration leaves out keeps its index is a switch
(`TableOptions.absent_elements_keep_their_index`). A choice: the elements that a count asks for lie
in one record or array.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from construct import SizeofError
from construct.core import Array, GreedyBytes, Padded, Renamed, Struct

from protocols.c12.tables.formats.field import Declaration
from protocols.errors import LocalProtocolError

MAX_DEPTH: Final = 9
"""Services carry up to nine indexes."""


def element_span(
    declaration: Declaration,
    path: Sequence[int],
    count: int = 1,
    *,
    table_size: int | None = None,
    keep_absent: bool = True,
) -> tuple[int, int]:
    """Return offset and length, in octets, of ``count`` elements from ``path`` on.

    ``table_size`` is needed for tables with a last element of any length (ST7, ST8).

    Raises:
        LocalProtocolError: no such element, or the selected octets are none.
    """
    if not 1 <= len(path) <= MAX_DEPTH or count < 1:
        raise LocalProtocolError(f"path {tuple(path)}, {count} elements")
    offset, within = 0, declaration
    for index in path[:-1]:
        skipped, within = _step(within, index, keep_absent)
        offset += skipped
    start, _ = _step(within, path[-1], keep_absent)
    end = start
    for index in range(path[-1], path[-1] + count):
        at, element = _step(within, index, keep_absent)
        end = at + _size(element, offset + at, table_size)
    if end == start:
        raise LocalProtocolError(f"element {tuple(path)} is not present")
    return offset + start, end - start


def _step(within: Declaration, index: int, keep_absent: bool) -> tuple[int, Declaration]:
    """Return the offset of the member or element ``index`` inside, and its declaration."""
    inner: Any = _plain(within)
    if isinstance(inner, Array):
        if 0 <= index < int(inner.count):  # type: ignore[arg-type]
            return index * _size(inner.subcon, 0, None), inner.subcon
    elif isinstance(inner, Struct):
        offset, seen = 0, 0
        for member in inner.subcons:
            if _is_absent(member) and not keep_absent:
                continue
            if seen == index:
                return offset, member
            offset, seen = offset + _size(member, 0, None), seen + 1
    raise LocalProtocolError(f"there is no element {index}")


def _size(element: Declaration, at: int, table_size: int | None) -> int:
    if _plain(element) is GreedyBytes:
        if table_size is None:
            raise LocalProtocolError("an element of any length needs the table's size")
        return max(table_size - at, 0)
    try:
        return int(element.sizeof())
    except SizeofError as exc:
        raise LocalProtocolError(f"an element of no fixed size: {exc}") from exc


def _plain(declaration: Any) -> Any:  # noqa: ANN401 - construct's edge
    while isinstance(declaration, Renamed):
        declaration = declaration.subcon
    return declaration


def _is_absent(member: Declaration) -> bool:
    inner = _plain(member)
    return isinstance(inner, Padded) and inner.length == 0
