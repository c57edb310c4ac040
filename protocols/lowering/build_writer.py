"""Writes the Python source that builds a plan."""

from __future__ import annotations

from protocols.lowering.plan import (
    Blob,
    Constant,
    Derived,
    Gap,
    Group,
    Node,
    Number,
    Reference,
    Repeat,
    WideInteger,
    fixed_leaves,
)
from protocols.lowering.writing import UNROLLED_ITEMS_MAX, Named, Run, Scope, Writer


class BuildWriter(Writer):
    """Writes ``build(values) -> bytes``."""

    def function(self, node: Node) -> list[str]:
        """Return the lines of the function that builds ``node``."""
        with self.block("def build(values):"):
            self.line("parts = []")
            self.line("append = parts.append")
            self._write(node, "values", Scope())
            self.flush()
            self.line('return b"".join(parts)')
        return self.lines

    def flush(self) -> None:
        """Write the run, if there is any, as one struct call, and begin another."""
        if self.run.formats:
            self.line(f"append({self.struct_name()}.pack({', '.join(self.run.items)}))")
            self.run = Run()

    def _write(self, node: Node, source: str, scope: Scope) -> Named:
        """Collect ``node``, whose value is the expression ``source``.

        Returns the expression that ``this`` sees afterwards, and the scope inside a group.
        """
        match node:
            case Number() | WideInteger():
                self._number(node, source)
            case Blob():
                return self._blob(node, source, scope), None
            case Constant():
                return self._constant(node, source), None
            case Gap():
                self._octets(node.pattern * node.size)
            case Derived():
                return self._derived(node, scope), None
            case Repeat():
                self._repeat(node, source, scope)
            case Group():
                return source, self._group(node, source, scope)
        return source, None

    def _item(self, layout: str, expression: str) -> None:
        self.run.formats.append(layout)
        self.run.items.append(expression)

    def _octets(self, octets: bytes) -> None:
        self._item(f"{len(octets)}s", repr(octets))

    def _number(self, node: Number | WideInteger, source: str) -> None:
        if isinstance(node, Number):
            self.want_order(node)
            self._item(node.format, source)
            return
        order = "big" if node.order == ">" else "little"
        signed = f"signed={node.signed}"
        self._item(f"{node.size}s", f'int.to_bytes({source}, {node.size}, "{order}", {signed})')

    def _derived(self, node: Derived, scope: Scope) -> str:
        name = self.unique("length")
        self.line(f"{name} = len({scope.resolve(node.length_of)})")
        self._number(node.node, name)
        return name

    def _constant(self, node: Constant, source: str) -> str:
        if source != "None":
            self.refuse_unless(f"{source} in (None, {node.value!r})")
        self._octets(node.octets)
        return repr(node.value)

    def _blob(self, node: Blob, source: str, scope: Scope) -> str:
        name = self.unique("octets")
        self.line(f"{name} = {source}")
        length = str(node.size) if isinstance(node.size, int) else scope.resolve(node.size)
        self.refuse_unless(f"type({name}) is bytes and len({name}) == {length}")
        if isinstance(node.size, int):
            self._item(f"{node.size}s", name)
        else:
            self.flush()
            self.line(f"append({name})")
        return name

    def _group(self, node: Group, source: str, outer: Scope) -> Scope:
        name, scope = self.unique("fields"), Scope(outer)
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
            known = self._write(member.node, _access(node, index, name), scope)
            if member.name is not None:
                scope.names[member.name] = known
        return scope

    def _repeat(self, node: Repeat, source: str, scope: Scope) -> None:
        name = self.unique("items")
        count = scope.resolve(node.count) if isinstance(node.count, Reference) else str(node.count)
        self.line(f"{name} = {source}")
        self.refuse_unless(f"isinstance({name}, (list, tuple)) and len({name}) == {count}")
        leaves = fixed_leaves(node)
        if isinstance(node.count, int) and leaves is not None and leaves <= UNROLLED_ITEMS_MAX:
            for index in range(node.count):
                self._write(node.element, f"{name}[{index}]", scope)
            return
        self.flush()
        element = self.unique("item")
        with self.block(f"for {element} in {name}:"):
            self._write(node.element, element, scope)
            self.flush()


def _access(node: Group, index: int, name: str) -> str:
    """Return the expression of a member's value, as construct looks it up."""
    member = node.members[index]
    if node.is_sequence:
        return f"{name}[{index}]"
    if not member.optional:
        return f"{name}[{member.name!r}]"
    return "None" if member.name is None else f"{name}.get({member.name!r})"
