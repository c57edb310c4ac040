"""Writes the Python source that parses a plan."""

from __future__ import annotations

from typing import assert_never

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
    byte_orders,
    fixed_leaves,
)
from protocols.lowering.writing import UNROLLED_ITEMS_MAX, Named, Run, Scope, Writer


class ParseWriter(Writer):
    """Writes ``parse(data, at) -> (value, at)``."""

    def function(self, node: Node) -> list[str]:
        """Return the lines of the function that parses ``node``."""
        with self.block("def parse(data, at):"):
            value = self._value(node, "value", Scope())
            self.flush()
            self.line(f"return {value}, at")
        return self.lines

    def flush(self) -> None:
        """Write the run, if there is any, as one struct call, and begin another."""
        if not self.run.formats:
            return
        targets = "".join(f"{item}, " for item in self.run.items)
        assigned = f"({targets.rstrip()}) = " if targets else ""
        self.line(f"{assigned}{self.struct_name()}.unpack_from(data, at)")
        self.line(f"at += {self.run.size()}")
        self._check_constants()
        self.run = Run()

    def _check_constants(self) -> None:
        checks = [f"{name} == {octets!r}" for name, octets in self.run.constants.items()]
        if checks:
            self.refuse_unless(" and ".join(checks))

    def _value(self, node: Node, hint: str, scope: Scope) -> str:
        """Collect ``node`` and return the expression of its value, valid after the next flush."""
        match node:
            case Number():
                self.want_order(node)
                return self._item(node.format, hint)
            case WideInteger():
                order = "big" if node.order == ">" else "little"
                octets = self._item(f"{node.size}s", hint)
                return f'int.from_bytes({octets}, "{order}", signed={node.signed})'
            case Blob(size=size):
                if isinstance(size, int):
                    return self._item(f"{size}s", hint)
                return self._slice(hint, scope.resolve(size))
            case Constant():
                self._constant(node.octets)
                return repr(node.value)
            case Gap():
                self.run.formats.append(f"{node.size}x")
                return "None"
            case Derived():
                return self._value(node.node, hint, scope)
            case Repeat():
                return self._repeat(node, hint, scope)
            case Group():
                return self._group(node, scope)[0]
        assert_never(node)

    def _item(self, layout: str, hint: str) -> str:
        name = self.unique(hint)
        self.run.formats.append(layout)
        self.run.items.append(name)
        return name

    def _constant(self, octets: bytes) -> None:
        last = self.run.items[-1] if self.run.items else ""
        if last in self.run.constants and self.run.formats[-1].endswith("s"):
            self.run.constants[last] += octets
            self.run.formats[-1] = f"{len(self.run.constants[last])}s"
            return
        self.run.constants[self._item(f"{len(octets)}s", "constant")] = octets

    def _slice(self, hint: str, length: str) -> str:
        self.flush()
        name = self.unique(hint)
        self.line(f"end = at + {length}")
        self.line(f"{name} = data[at:end]")
        self.refuse_unless(f"len({name}) == end - at")
        self.line("at = end")
        return name

    def _group(self, node: Group, outer: Scope) -> Named:
        scope, values = Scope(outer), []
        for member in node.members:
            inner: Scope | None = None
            if isinstance(member.node, Group):
                value, inner = self._group(member.node, scope)
            else:
                value = self._value(member.node, member.name or "item", scope)
            if member.name is not None:
                scope.names[member.name] = (value, inner)
            if node.is_sequence:
                values.append(value)
            elif member.name is not None:
                values.append(f"{member.name!r}: {value}")
        text = ", ".join(values)
        return (f"[{text}]" if node.is_sequence else f"{{{text}}}"), scope

    def _repeat(self, node: Repeat, hint: str, scope: Scope) -> str:
        leaves = fixed_leaves(node)
        if isinstance(node.count, int) and leaves is not None and leaves <= UNROLLED_ITEMS_MAX:
            items = [self._value(node.element, hint, scope) for _ in range(node.count)]
            return f"[{', '.join(items)}]"
        self.flush()
        count = scope.resolve(node.count) if isinstance(node.count, Reference) else str(node.count)
        if isinstance(node.count, Reference):
            self.refuse_unless(f"{count} >= 0")
        name = self.unique(hint)
        self.line(f"{name} = []")
        inner_leaves = fixed_leaves(node.element) or 0
        if 0 < inner_leaves <= UNROLLED_ITEMS_MAX and len(byte_orders(node.element)) <= 1:
            self._fixed_elements(node.element, name, count, scope)
        else:
            with self.block(f"for _ in range({count}):"):
                value = self._value(node.element, f"{hint}_item", scope)
                self.flush()
                self.line(f"{name}.append({value})")
        return name

    def _fixed_elements(self, element: Node, name: str, count: str, scope: Scope) -> None:
        """Write a loop over ``iter_unpack``: one struct call per element, made in C."""
        value = self._value(element, "item", scope)
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
            self._check_constants()
            self.line(f"{name}.append({value})")
        self.line("at = end")
        self.run = Run()
