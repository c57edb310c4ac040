"""A declaration of fixed size as a numpy dtype, with a template and a mask of its constants.

Decoding is a view and one masked comparison; encoding fills the columns of a copied template.
Octet fields are void (``V16``), because numpy's ``S`` would drop trailing zero octets; take
``.view("S16")`` of a column where text is meant. Constants without a name have no column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

from protocols.errors import CodecError
from protocols.lowering.plan import (
    Blob,
    Constant,
    Declaration,
    Gap,
    Group,
    Node,
    NotLowerable,
    Number,
    Repeat,
    WideInteger,
    plan,
)

Rows: TypeAlias = NDArray[Any]
Octets: TypeAlias = NDArray[np.uint8]
# A scalar, an array, or for a struct a mapping or structured array of columns.
Column: TypeAlias = Any

# struct's format characters and numpy's kinds; "?" is left out: any octet but zero is true.
_KINDS: Final = {
    "b": "i", "h": "i", "l": "i", "q": "i", "B": "u", "H": "u", "L": "u", "Q": "u",
    "e": "f", "f": "f", "d": "f",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Part:
    """What a node becomes: its dtype (``None`` for no column), template, mask and paths."""

    dtype: np.dtype[Any] | None
    template: bytes
    mask: bytes


@dataclass(frozen=True, slots=True, eq=False)
class FixedLayout:
    """Rows of one fixed wire layout.

    ``dtype`` has the fields in wire order, big-endian where the wire is; ``template`` and ``mask``
    are uint8 arrays of ``size`` octets, the mask being 0xFF where the template is a constant, and
    ``constants`` is what of the template the mask leaves.
    """

    name: str
    node: Node
    dtype: np.dtype[Any]
    template: Octets
    mask: Octets
    constants: bytes

    @property
    def size(self) -> int:
        """The octets of one row."""
        return int(self.dtype.itemsize)

    def matches(self, buffer: bytes, count: int, offset: int = 0) -> bool:
        """Say whether ``count`` rows are there and every constant is in its place."""
        if len(buffer) < offset + count * self.size:
            return False
        octets = np.frombuffer(buffer, np.uint8, count * self.size, offset)
        # One comparison of memory beats a reduction in numpy.
        masked = octets.reshape(count, self.size) & self.mask
        return masked.tobytes() == self.constants * count

    def view(self, buffer: bytes, count: int, offset: int = 0) -> Rows:
        """Return ``count`` rows as a read-only structured array, constants not looked at."""
        return np.frombuffer(buffer, self.dtype, count, offset)

    def decode(self, buffer: bytes, count: int, offset: int = 0) -> Rows:
        """Return ``count`` rows at ``offset`` as a read-only structured view of ``buffer``.

        Raises:
            CodecError: the buffer is too short, or a constant differs: names row and field path.
        """
        needed = offset + count * self.size
        if len(buffer) < needed:
            message = f"{count} rows need {needed} octets, found {len(buffer)}"
            raise CodecError(message, codec=self.name)
        if not self.matches(buffer, count, offset):
            self._refuse(np.frombuffer(buffer, np.uint8, count * self.size, offset))
        return self.view(buffer, count, offset)

    def encode(self, columns: Mapping[str, Any], count: int) -> Octets:
        """Return ``count`` rows as a uint8 array of shape (count, size).

        ``columns`` maps each field to a scalar or an array of ``count`` rows; a nested struct is a
        nested mapping or a structured array. Constants need no column.

        Raises:
            CodecError: a column is missing, of another shape or size, or out of its field's range.
        """
        octets = np.tile(self.template, (count, 1))
        try:
            _fill(self.node, octets.view(self.dtype)[:, 0], columns, "")
        except _Misfit as exc:
            raise CodecError(exc.message, codec=self.name, path=exc.path.lstrip(".")) from exc
        return octets

    def _refuse(self, octets: Octets) -> None:
        differences = (octets.reshape(-1, self.size) ^ self.template) & self.mask
        position = int(np.argmax(differences.reshape(-1) != 0))
        row, column = divmod(position, self.size)
        message = (
            f"row {row}, octet {column}: "
            f"expected 0x{self.template[column]:02x}, found 0x{octets[position]:02x}"
        )
        raise CodecError(message, codec=self.name, path=_path(self.node, column).lstrip("."))


def lower_to_dtype(declaration: Declaration, name: str = "") -> FixedLayout:
    """Return the layout of a Struct or Sequence of fixed size; raises `NotLowerable`."""
    name = name or declaration.name or type(declaration).__name__
    node = plan(declaration)
    if not isinstance(node, Group):
        raise NotLowerable("only a Struct or a Sequence makes rows")
    part = _part(node)
    if part.dtype is None or not part.template:
        raise NotLowerable("a declaration without columns")
    template, mask = np.frombuffer(part.template, np.uint8), np.frombuffer(part.mask, np.uint8)
    return FixedLayout(name, node, part.dtype, template, mask, (template & mask).tobytes())


def _part(node: Node) -> _Part:
    match node:
        case Number(format=letter, order=order, size=size) if letter in _KINDS:
            return _column(np.dtype(f"{order}{_KINDS[letter]}{size}"))
        case WideInteger(size=size, signed=signed, order=order) if size in (1, 2, 4, 8):
            return _column(np.dtype(f"{order}{'i' if signed else 'u'}{size}"))
        case Blob(size=int(size)) if size > 0:
            return _column(np.dtype(f"V{size}"))
        case Constant(octets=octets, node=inner) if octets:
            return _Part(_part(inner).dtype, octets, b"\xff" * len(octets))
        case Gap(size=size, pattern=pattern):
            return _Part(None, pattern * size, bytes(size))
        case Repeat(count=int(count), element=element) if count > 0:
            part = _part(element)
            dtype = None if part.dtype is None else np.dtype((part.dtype, (count,)))
            return _Part(dtype, part.template * count, part.mask * count)
        case Group():
            return _group(node)
        case _:
            raise NotLowerable(f"numpy has no column of fixed size for {node}")


def _column(dtype: np.dtype[Any]) -> _Part:
    return _Part(dtype, bytes(dtype.itemsize), bytes(dtype.itemsize))


def _group(node: Group) -> _Part:
    names, formats, offsets = [], [], []
    template = mask = b""
    for name, part in _columns(node):
        if name is not None and part.dtype is not None:
            names.append(name)
            formats.append(part.dtype)
            offsets.append(len(template))
        template += part.template
        mask += part.mask
    if not names:
        return _Part(None, template, mask)
    fields = {"names": names, "formats": formats, "offsets": offsets, "itemsize": len(template)}
    return _Part(np.dtype(fields), template, mask)  # type: ignore[call-overload]


def _columns(node: Group) -> Iterator[tuple[str | None, _Part]]:
    for index, member in enumerate(node.members):
        part = _part(member.node)
        yield (str(index) if node.is_sequence else member.name), part


class _Misfit(Exception):
    """A column that does not fit its field."""

    def __init__(self, message: str, path: str) -> None:
        super().__init__(message)
        self.message, self.path = message, path


def _fill(node: Node, target: Rows, value: Column, path: str) -> None:
    """Write ``value`` into ``target``, the view of ``node`` in every row."""
    match node:
        case Repeat(element=element):
            _fill(element, target, value, path)
        case Group():
            for index, member in enumerate(node.members):
                name = str(index) if node.is_sequence else member.name
                if name is not None and name in (target.dtype.names or ()):
                    column = _column_of(value, name, member.node, path)
                    _fill(member.node, target[name], column, f"{path}.{name}")
        case Constant(value=expected):
            octets = target.tobytes()
            if value is not None:
                _assign(target, value, path)
            if target.tobytes() != octets:
                raise _Misfit(f"expected {expected!r}, got {value!r}", path)
        case _:
            _assign(target, value, path)


def _column_of(columns: Column, name: str, node: Node, path: str) -> Column:
    known = columns.dtype.names if isinstance(columns, np.ndarray) else columns
    if name in (known or ()):
        return columns[name]
    if isinstance(node, Constant):
        return None
    raise _Misfit("missing column", f"{path}.{name}")


def _assign(target: Rows, value: Column, path: str) -> None:
    column = np.asarray(value)
    if target.dtype.kind == "V":
        column = _as_octets(column, target.dtype.itemsize, path)
    elif target.dtype.kind in "iu":
        _check_range(column, target.dtype, path)
    try:
        target[...] = column
    except ValueError as exc:
        raise _Misfit(str(exc), path) from exc


def _as_octets(column: Rows, size: int, path: str) -> Rows:
    if column.dtype.kind not in "SV" or column.dtype.itemsize != size:
        raise _Misfit(f"expected {size} octets, got {column.dtype}", path)
    return np.ascontiguousarray(column).view(f"V{size}").reshape(column.shape)


def _check_range(column: Rows, dtype: np.dtype[Any], path: str) -> None:
    """Refuse what numpy would wrap around or round without a word."""
    if column.dtype.kind not in "iu":
        raise _Misfit(f"expected integers, got {column.dtype}", path)
    if column.size == 0 or np.can_cast(column.dtype, dtype, "safe"):
        return
    limits = np.iinfo(dtype)
    lowest, highest = int(column.min()), int(column.max())
    if lowest < limits.min or highest > limits.max:
        raise _Misfit(f"{lowest}..{highest} is outside {limits.min}..{limits.max}", path)


def _path(node: Node, position: int) -> str:
    """Return the path of the field that holds octet ``position`` of ``node``."""
    if isinstance(node, Repeat):
        size = len(_part(node.element).template)
        index, rest = divmod(position, size)
        return f"[{index}]" + _path(node.element, rest)
    if not isinstance(node, Group):
        return ""
    for name, member in zip((name for name, _ in _columns(node)), node.members, strict=True):
        size = len(_part(member.node).template)
        if position < size:
            return f".{name}" * (name is not None) + _path(member.node, position)
        position -= size
    raise AssertionError("a position outside the row")
