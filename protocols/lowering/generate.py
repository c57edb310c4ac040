"""Python source for a plan: runs of fixed fields become one `struct.Struct` call each.

Theory of operation: both writers walk the plan and collect fixed items in a *run*. A run is
flushed (one ``unpack_from`` or ``pack``) when something of variable size follows, when the byte
order changes, or at the end of a block. Neighbouring constants share one item and one comparison.
Whatever the generated code cannot accept raises (`Refused`, ``struct.error``, ``KeyError`` ...),
and the interpreter then decides: so the generated code checks, but never explains.
"""

from __future__ import annotations

import builtins
import keyword
import re
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias, assert_never

from protocols.lowering.plan import (
    Blob,
    Constant,
    Derived,
    Gap,
    Group,
    Node,
    NotLowerable,
    Number,
    Reference,
    Repeat,
    WideInteger,
    byte_orders,
    fixed_leaves,
)

UNROLLED_ITEMS_MAX: Final = 64
# Names the generated functions use themselves.
_RESERVED: Final = frozenset(
    {"append", "at", "data", "end", "parts", "values", "Refused", "Struct", *dir(builtins)}
)


class Refused(Exception):
    """The generated code met something for the interpreter to judge."""


@dataclass(frozen=True, slots=True)
class Generated:
    """The two functions and the source they came from."""

    parse: Callable[[bytes, int], tuple[Any, int]]
    build: Callable[[Any], bytes]
    source: str


def generate(node: Node) -> Generated:
    """Return code for ``node``, or raise `NotLowerable` for a reference to nothing known."""
    structs: dict[str, str] = {}
    parse_lines = _ParseWriter(structs).function(node)
    build_lines = _BuildWriter(structs).function(node)
    header = [f"{name} = Struct({layout!r})" for layout, name in structs.items()]
    source = "\n".join([*header, "", "", *parse_lines, "", "", *build_lines, ""])
    namespace: dict[str, Any] = {"Struct": struct.Struct, "Refused": Refused}
    exec(compile(source, "<lowered>", "exec"), namespace)
    return Generated(namespace["parse"], namespace["build"], source)


@dataclass(slots=True)
class _Scope:
    """The names that ``this`` reaches: the expression of each, and the scope inside it."""

    parent: _Scope | None = None
    names: dict[str, _Named] = field(default_factory=dict)

    def resolve(self, reference: Reference) -> str:
        scope: _Scope | None = self
        for _ in range(reference.up):
            scope = scope.parent if scope is not None else None
        expression = ""
        for name in reference.names:
            if scope is not None and name in scope.names:
                expression, scope = scope.names[name]
            elif scope is None and expression:
                expression += f"[{name!r}]"
            else:
                raise NotLowerable(f"no earlier field {'.'.join(reference.names)}")
        return expression


_Named: TypeAlias = tuple[str, _Scope | None]


@dataclass(slots=True)
class _Run:
    """Fixed items waiting for one struct call: formats, and a variable or expression for each."""

    formats: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    constants: dict[str, bytes] = field(default_factory=dict)
    order: str = ""

    def layout(self) -> str:
        return (self.order or ">") + "".join(self.formats)

    def size(self) -> int:
        return struct.calcsize(self.layout())


class _Writer:
    """Lines, indentation, unique names and the run; what both directions share."""

    def __init__(self, structs: dict[str, str]) -> None:
        self.structs = structs
        self.lines: list[str] = []
        self.depth = 0
        self.run = _Run()
        self.taken = set(_RESERVED)

    def line(self, text: str) -> None:
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, text: str) -> Iterator[None]:
        self.line(text)
        self.depth += 1
        yield
        self.depth -= 1

    def unique(self, hint: str) -> str:
        stem = re.sub(r"\W", "_", hint).lstrip("_") or "item"
        stem = f"{stem}_" if keyword.iskeyword(stem) or stem[0].isdigit() else stem
        name, number = stem, 1
        while name in self.taken:
            number += 1
            name = f"{stem}_{number}"
        self.taken.add(name)
        return name

    def struct_name(self) -> str:
        layout = self.run.layout()
        return self.structs.setdefault(layout, f"_S{len(self.structs)}")

    def refuse_unless(self, condition: str) -> None:
        with self.block(f"if not ({condition}):"):
            self.line("raise Refused")

    def want_order(self, node: Number) -> None:
        """Close the run when ``node`` needs the other byte order."""
        if node.size == 1:
            return
        if self.run.order not in ("", node.order):
            self.flush()
        self.run.order = node.order

    def flush(self) -> None:
        raise NotImplementedError


class _ParseWriter(_Writer):
    """Writes ``parse(data, at) -> (value, at)``."""

    def function(self, node: Node) -> list[str]:
        with self.block("def parse(data, at):"):
            value = self.value(node, "value", _Scope())
            self.flush()
            self.line(f"return {value}, at")
        return self.lines

    def flush(self) -> None:
        if not self.run.formats:
            return
        targets = "".join(f"{item}, " for item in self.run.items)
        assigned = f"({targets.rstrip()}) = " if targets else ""
        self.line(f"{assigned}{self.struct_name()}.unpack_from(data, at)")
        self.line(f"at += {self.run.size()}")
        self.check_constants()
        self.run = _Run()

    def check_constants(self) -> None:
        checks = [f"{name} == {octets!r}" for name, octets in self.run.constants.items()]
        if checks:
            self.refuse_unless(" and ".join(checks))

    def value(self, node: Node, hint: str, scope: _Scope) -> str:
        """Collect ``node`` and return the expression of its value, valid after the next flush."""
        match node:
            case Number():
                self.want_order(node)
                return self.item(node.format, hint)
            case WideInteger():
                order = "big" if node.order == ">" else "little"
                octets = self.item(f"{node.size}s", hint)
                return f'int.from_bytes({octets}, "{order}", signed={node.signed})'
            case Blob(size=size):
                if isinstance(size, int):
                    return self.item(f"{size}s", hint)
                return self.slice(hint, scope.resolve(size))
            case Constant():
                self.constant(node.octets)
                return repr(node.value)
            case Gap():
                self.run.formats.append(f"{node.size}x")
                return "None"
            case Derived():
                return self.value(node.node, hint, scope)
            case Repeat():
                return self.repeat(node, hint, scope)
            case Group():
                return self.group(node, scope)[0]
        assert_never(node)

    def item(self, layout: str, hint: str) -> str:
        name = self.unique(hint)
        self.run.formats.append(layout)
        self.run.items.append(name)
        return name

    def constant(self, octets: bytes) -> None:
        last = self.run.items[-1] if self.run.items else ""
        if last in self.run.constants and self.run.formats[-1].endswith("s"):
            self.run.constants[last] += octets
            self.run.formats[-1] = f"{len(self.run.constants[last])}s"
            return
        self.run.constants[self.item(f"{len(octets)}s", "constant")] = octets

    def slice(self, hint: str, length: str) -> str:
        self.flush()
        name = self.unique(hint)
        self.line(f"end = at + {length}")
        self.line(f"{name} = data[at:end]")
        self.refuse_unless(f"len({name}) == end - at")
        self.line("at = end")
        return name

    def group(self, node: Group, outer: _Scope) -> _Named:
        scope, values = _Scope(outer), []
        for member in node.members:
            inner: _Scope | None = None
            if isinstance(member.node, Group):
                value, inner = self.group(member.node, scope)
            else:
                value = self.value(member.node, member.name or "item", scope)
            if member.name is not None:
                scope.names[member.name] = (value, inner)
            if node.is_sequence:
                values.append(value)
            elif member.name is not None:
                values.append(f"{member.name!r}: {value}")
        text = ", ".join(values)
        return (f"[{text}]" if node.is_sequence else f"{{{text}}}"), scope

    def repeat(self, node: Repeat, hint: str, scope: _Scope) -> str:
        leaves = fixed_leaves(node)
        if isinstance(node.count, int) and leaves is not None and leaves <= UNROLLED_ITEMS_MAX:
            items = [self.value(node.element, hint, scope) for _ in range(node.count)]
            return f"[{', '.join(items)}]"
        self.flush()
        count = scope.resolve(node.count) if isinstance(node.count, Reference) else str(node.count)
        if isinstance(node.count, Reference):
            self.refuse_unless(f"{count} >= 0")
        name = self.unique(hint)
        self.line(f"{name} = []")
        inner_leaves = fixed_leaves(node.element) or 0
        if 0 < inner_leaves <= UNROLLED_ITEMS_MAX and len(byte_orders(node.element)) <= 1:
            self.fixed_elements(node.element, name, count, scope)
        else:
            with self.block(f"for _ in range({count}):"):
                value = self.value(node.element, f"{hint}_item", scope)
                self.flush()
                self.line(f"{name}.append({value})")
        return name

    def fixed_elements(self, element: Node, name: str, count: str, scope: _Scope) -> None:
        """Write a loop over ``iter_unpack``: one struct call per element, made in C."""
        value = self.value(element, "item", scope)
        run, struct_name = self.run, self.struct_name()
        if not run.items or run.size() == 0:
            # Nothing to iterate over: padding, or octets of no size.
            with self.block(f"for _ in range({count}):"):
                self.flush()
                self.line(f"{name}.append({value})")
            return
        self.line(f"end = at + {run.size()} * {count}")
        self.refuse_unless("end <= len(data)")
        targets = "".join(f"{item}, " for item in run.items).rstrip()
        with self.block(f"for {targets} in {struct_name}.iter_unpack(data[at:end]):"):
            self.check_constants()
            self.line(f"{name}.append({value})")
        self.line("at = end")
        self.run = _Run()


class _BuildWriter(_Writer):
    """Writes ``build(values) -> bytes``."""

    def function(self, node: Node) -> list[str]:
        with self.block("def build(values):"):
            self.line("parts = []")
            self.line("append = parts.append")
            self.write(node, "values", _Scope())
            self.flush()
            self.line('return b"".join(parts)')
        return self.lines

    def flush(self) -> None:
        if self.run.formats:
            self.line(f"append({self.struct_name()}.pack({', '.join(self.run.items)}))")
            self.run = _Run()

    def write(self, node: Node, source: str, scope: _Scope) -> _Named:
        """Collect ``node``, whose value is the expression ``source``.

        Returns the expression that ``this`` sees afterwards, and the scope inside a group.
        """
        match node:
            case Number() | WideInteger():
                self.number(node, source)
            case Blob():
                return self.blob(node, source, scope), None
            case Constant():
                return self.constant(node, source), None
            case Gap():
                self.octets(node.pattern * node.size)
            case Derived():
                return self.derived(node, scope), None
            case Repeat():
                self.repeat(node, source, scope)
            case Group():
                return source, self.group(node, source, scope)
        return source, None

    def item(self, layout: str, expression: str) -> None:
        self.run.formats.append(layout)
        self.run.items.append(expression)

    def octets(self, octets: bytes) -> None:
        self.item(f"{len(octets)}s", repr(octets))

    def number(self, node: Number | WideInteger, source: str) -> None:
        if isinstance(node, Number):
            self.want_order(node)
            self.item(node.format, source)
            return
        order = "big" if node.order == ">" else "little"
        signed = f"signed={node.signed}"
        self.item(f"{node.size}s", f'int.to_bytes({source}, {node.size}, "{order}", {signed})')

    def derived(self, node: Derived, scope: _Scope) -> str:
        name = self.unique("length")
        self.line(f"{name} = len({scope.resolve(node.length_of)})")
        self.number(node.node, name)
        return name

    def constant(self, node: Constant, source: str) -> str:
        if source != "None":
            self.refuse_unless(f"{source} in (None, {node.value!r})")
        self.octets(node.octets)
        return repr(node.value)

    def blob(self, node: Blob, source: str, scope: _Scope) -> str:
        name = self.unique("octets")
        self.line(f"{name} = {source}")
        length = str(node.size) if isinstance(node.size, int) else scope.resolve(node.size)
        self.refuse_unless(f"type({name}) is bytes and len({name}) == {length}")
        if isinstance(node.size, int):
            self.item(f"{node.size}s", name)
        else:
            self.flush()
            self.line(f"append({name})")
        return name

    def group(self, node: Group, source: str, outer: _Scope) -> _Scope:
        name, scope = self.unique("fields"), _Scope(outer)
        self.line(f"{name} = {source}")
        if all(member.optional for member in node.members):
            nothing = f"[None] * {len(node.members)}" if node.is_sequence else "{}"
            with self.block(f"if {name} is None:"):
                self.line(f"{name} = {nothing}")
        if node.is_sequence:
            self.refuse_unless(f"type({name}) is list and len({name}) == {len(node.members)}")
        else:
            # A struct sees the values of its later fields too; a sequence does not.
            scope.names = {
                member.name: (f"{name}[{member.name!r}]", None)
                for member in node.members
                if member.name is not None
            }
        for index, member in enumerate(node.members):
            known = self.write(member.node, _access(node, index, name), scope)
            if member.name is not None:
                scope.names[member.name] = known
        return scope

    def repeat(self, node: Repeat, source: str, scope: _Scope) -> None:
        name = self.unique("items")
        count = scope.resolve(node.count) if isinstance(node.count, Reference) else str(node.count)
        self.line(f"{name} = {source}")
        self.refuse_unless(f"isinstance({name}, (list, tuple)) and len({name}) == {count}")
        leaves = fixed_leaves(node)
        if isinstance(node.count, int) and leaves is not None and leaves <= UNROLLED_ITEMS_MAX:
            for index in range(node.count):
                self.write(node.element, f"{name}[{index}]", scope)
            return
        self.flush()
        element = self.unique("item")
        with self.block(f"for {element} in {name}:"):
            self.write(node.element, element, scope)
            self.flush()


def _access(node: Group, index: int, name: str) -> str:
    """Return the expression of a member's value, as construct looks it up."""
    member = node.members[index]
    if node.is_sequence:
        return f"{name}[{index}]"
    if not member.optional:
        return f"{name}[{member.name!r}]"
    return "None" if member.name is None else f"{name}.get({member.name!r})"
