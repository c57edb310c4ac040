"""What writers of parsing and of building code share: lines, names, scopes and the run.

Both walk the plan and collect fixed items in a *run*. A run is flushed (one ``unpack_from`` or
``pack``) when something of variable size follows, when the byte order changes, or at the end of a
block.
"""

from __future__ import annotations

import builtins
import keyword
import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocols.lowering.plan import (
    NotLowerable,
    Number,
    Reference,
)

UNROLLED_ITEMS_MAX: Final = 64
# Names the generated functions use themselves.
_RESERVED: Final = frozenset(
    {"append", "at", "data", "end", "parts", "values", "Refused", "Struct", *dir(builtins)}
)


@dataclass(slots=True)
class Scope:
    """The names that ``this`` reaches: the expression of each, and the scope inside it."""

    parent: Scope | None = None
    names: dict[str, Named] = field(default_factory=dict)

    def resolve(self, reference: Reference) -> str:
        """Return the expression of what ``reference`` names; raises `NotLowerable`."""
        scope: Scope | None = self
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


Named: TypeAlias = tuple[str, Scope | None]


@dataclass(slots=True)
class Run:
    """Fixed items waiting for one struct call: formats, and a variable or expression for each."""

    formats: list[str] = field(default_factory=list)
    items: list[str] = field(default_factory=list)
    constants: dict[str, bytes] = field(default_factory=dict)
    order: str = ""

    def layout(self) -> str:
        """Return the format of the struct call."""
        return (self.order or ">") + "".join(self.formats)

    def size(self) -> int:
        """Return how many octets the run has."""
        return struct.calcsize(self.layout())


class Writer:
    """Lines, indentation, unique names and the run; what both directions share."""

    def __init__(self, structs: dict[str, str]) -> None:
        self.structs = structs
        self.lines: list[str] = []
        self.depth = 0
        self.run = Run()
        self.taken = set(_RESERVED)

    def line(self, text: str) -> None:
        """Write a line at the indentation of now."""
        self.lines.append("    " * self.depth + text)

    @contextmanager
    def block(self, text: str) -> Iterator[None]:
        """Write a line, and indent what follows within."""
        self.line(text)
        self.depth += 1
        yield
        self.depth -= 1

    def unique(self, hint: str) -> str:
        """Return a name of the function's own that is like ``hint``."""
        stem = re.sub(r"\W", "_", hint).lstrip("_") or "item"
        stem = f"{stem}_" if keyword.iskeyword(stem) or stem[0].isdigit() else stem
        name, number = stem, 1
        while name in self.taken:
            number += 1
            name = f"{stem}_{number}"
        self.taken.add(name)
        return name

    def struct_name(self) -> str:
        """Return the name of the run's `struct.Struct`."""
        layout = self.run.layout()
        return self.structs.setdefault(layout, f"_S{len(self.structs)}")

    def refuse_unless(self, condition: str) -> None:
        """Write that the generated code refuses what does not meet ``condition``."""
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
        """Write the run, if there is any, and begin another."""
        raise NotImplementedError
