"""What a declaration says, as a small tree that the code generator and the dtype builder walk.

Theory of operation: construct's classes are matched by exact type, because a subclass may override
anything. What has no node here is `NotLowerable`, never an approximation.

Lengths and counts are integers or a `Reference` to an earlier field (``this.length``,
``this._.header.count``); every other expression is not lowerable.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from construct import core, expr

from protocols.errors import LocalProtocolError

Declaration: TypeAlias = "core.Construct[Any, Any]"
# One class of construct each, with attributes that its stubs do not type.
_Untyped: TypeAlias = Any


class NotLowerable(LocalProtocolError):
    """The declaration says something that this lowering cannot run."""


@dataclass(frozen=True, slots=True)
class Reference:
    """A field named by an expression: ``up`` structures outwards, then down the ``names``."""

    up: int
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Number:
    """A fixed-width number that `struct` knows: format character and byte order (``>``, ``<``)."""

    format: str
    order: str
    size: int


@dataclass(frozen=True, slots=True)
class WideInteger:
    """An integer of any number of octets."""

    size: int
    signed: bool
    order: str


@dataclass(frozen=True, slots=True)
class Blob:
    """Octets: a fixed number of them, or as many as an earlier field says."""

    size: int | Reference


@dataclass(frozen=True, slots=True)
class Constant:
    """Octets that must be there, and the value they parse to."""

    octets: bytes
    value: int | bytes
    node: Number | WideInteger | Blob


@dataclass(frozen=True, slots=True)
class Gap:
    """Padding: written as ``pattern``, read and thrown away."""

    size: int
    pattern: bytes


@dataclass(frozen=True, slots=True)
class Derived:
    """An integer that building computes as the length of another field."""

    node: Number | WideInteger
    length_of: Reference


@dataclass(frozen=True, slots=True)
class Repeat:
    """``count`` times the same element."""

    count: int | Reference
    element: Node


@dataclass(frozen=True, slots=True)
class Member:
    """One field of a group; ``optional`` when building needs no value for it."""

    name: str | None
    node: Node
    optional: bool


@dataclass(frozen=True, slots=True)
class Group:
    """A Struct (named members, a mapping) or a Sequence (a list)."""

    members: tuple[Member, ...]
    is_sequence: bool


Node: TypeAlias = Number | WideInteger | Blob | Constant | Gap | Derived | Repeat | Group


def plan(declaration: Declaration) -> Node:
    """Return the tree of ``declaration``, or raise `NotLowerable` naming the construct."""
    if declaration.parsed is not None:
        raise NotLowerable(f"{declaration!r} has a parsed hook")
    reader = _READERS.get(type(declaration))
    if reader is None:
        raise NotLowerable(f"{type(declaration).__name__} is not in the subset")
    return reader(declaration)


def fixed_leaves(node: Node) -> int | None:
    """Return how many struct items ``node`` takes, or ``None`` when its size varies."""
    match node:
        case Repeat(count=int(count), element=element):
            leaves = fixed_leaves(element)
            return None if leaves is None else count * leaves
        case Repeat() | Blob(size=Reference()):
            return None
        case Group(members=members):
            each = [fixed_leaves(member.node) for member in members]
            return None if None in each else sum(leaf for leaf in each if leaf is not None)
        case _:
            return 1


def byte_orders(node: Node) -> set[str]:
    """Return the byte orders that the struct items of ``node`` ask for."""
    match node:
        case Number(order=order, size=size):
            return {order} if size > 1 else set()
        case Derived(node=inner):
            return byte_orders(inner)
        case Repeat(element=element):
            return byte_orders(element)
        case Group(members=members):
            return set().union(*(byte_orders(member.node) for member in members))
        case _:
            return set()


def _number(declaration: _Untyped) -> Node:
    order = declaration.fmtstr[0]
    if order == "=":
        order = "<" if sys.byteorder == "little" else ">"
    return Number(declaration.fmtstr[1], order, declaration.length)


def _wide_integer(declaration: _Untyped) -> Node:
    if type(declaration.length) is not int or declaration.length <= 0:
        raise NotLowerable("BytesInteger of a computed length")
    if type(declaration.swapped) is not bool:
        raise NotLowerable("BytesInteger of a computed byte order")
    order = "<" if declaration.swapped else ">"
    return WideInteger(declaration.length, bool(declaration.signed), order)


def _blob(declaration: _Untyped) -> Node:
    return Blob(_quantity(declaration.length))


def _constant(declaration: _Untyped) -> Node:
    node = plan(declaration.subcon)
    # A boolean or float constant compares equal to more than one octet pattern.
    if isinstance(node, Number) and node.format in "?efd":
        raise NotLowerable(f"Const of format {node.format!r}")
    expected = bytes if isinstance(node, Blob) else int
    if not isinstance(node, Number | WideInteger | Blob) or type(declaration.value) is not expected:
        raise NotLowerable(f"Const of {declaration.value!r}")
    octets = declaration.subcon.build(declaration.value)
    return Constant(octets, declaration.value, node)


def _gap(declaration: _Untyped) -> Node:
    if declaration.subcon is not core.Pass or type(declaration.length) is not int:
        raise NotLowerable("Padded that is not plain Padding")
    if declaration.length < 0:
        raise NotLowerable("Padding of negative length")
    return Gap(declaration.length, bytes(declaration.pattern))


def _derived(declaration: _Untyped) -> Node:
    node = plan(declaration.subcon)
    if not isinstance(node, Number | WideInteger):
        raise NotLowerable("Rebuild of something that is not a number")
    matched = re.fullmatch(r"len_\((.*)\)", repr(declaration.func))
    if type(declaration.func) is not expr.FuncPath or matched is None:
        raise NotLowerable("Rebuild that is not len_(this.field)")
    return Derived(node, _reference(matched[1]))


def _repeat(declaration: _Untyped) -> Node:
    if declaration.discard:
        raise NotLowerable("Array that discards its elements")
    return Repeat(_quantity(declaration.count), plan(declaration.subcon))


def _group(declaration: _Untyped) -> Node:
    names = [field.name for field in declaration.subcons if field.name]
    if len(set(names)) != len(names) or any(name.startswith("_") for name in names):
        raise NotLowerable("field names that repeat or start with an underscore")
    members = tuple(
        Member(field.name or None, plan(field), bool(field.flagbuildnone))
        for field in declaration.subcons
    )
    return Group(members, type(declaration) is core.Sequence)


def _renamed(declaration: _Untyped) -> Node:
    return plan(declaration.subcon)


def _quantity(value: object) -> int | Reference:
    if type(value) is int and value >= 0:
        return value
    if type(value) is expr.Path:
        return _reference(repr(value))
    raise NotLowerable(f"length or count {value!r}")


def _reference(text: str) -> Reference:
    if re.fullmatch(r"this(\['[A-Za-z_]\w*'\])+", text) is None:
        raise NotLowerable(f"expression {text}")
    names = re.findall(r"\['(\w+)'\]", text)
    up = next((i for i, name in enumerate(names) if name != "_"), len(names))
    if up == len(names):
        raise NotLowerable(f"expression {text}")
    return Reference(up, tuple(names[up:]))


_READERS: Final[dict[type, Callable[[_Untyped], Node]]] = {
    core.FormatField: _number,
    core.BytesInteger: _wide_integer,
    core.Bytes: _blob,
    core.Const: _constant,
    core.Padded: _gap,
    core.Rebuild: _derived,
    core.Array: _repeat,
    core.Struct: _group,
    core.Sequence: _group,
    core.Renamed: _renamed,
}
