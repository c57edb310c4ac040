"""Python source for a plan: runs of fixed fields become one `struct.Struct` call each.

Theory of operation: one writer writes what parses, one what builds (`writing` has what they share).
Neighbouring constants share one item and one comparison. Whatever the generated code cannot accept
raises (`Refused`, ``struct.error``, ``KeyError`` ...), and the interpreter then decides: so the
generated code checks, but never explains.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from protocols.lowering.build_writer import BuildWriter
from protocols.lowering.parse_writer import ParseWriter
from protocols.lowering.plan import Node


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
    parse_lines = ParseWriter(structs).function(node)
    build_lines = BuildWriter(structs).function(node)
    header = [f"{name} = Struct({layout!r})" for layout, name in structs.items()]
    source = "\n".join([*header, "", "", *parse_lines, "", "", *build_lines, ""])
    namespace: dict[str, Any] = {"Struct": struct.Struct, "Refused": Refused}
    exec(compile(source, "<lowered>", "exec"), namespace)
    return Generated(namespace["parse"], namespace["build"], source)
