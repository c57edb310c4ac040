"""Random construct declarations within the lowering's subset, with values that fit them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

from construct import (
    Array,
    Bytes,
    BytesInteger,
    Const,
    Construct,
    FormatField,
    Int8ub,
    Int16sb,
    Int16ub,
    Padding,
    Rebuild,
    Sequence,
    Struct,
    len_,
    this,
)
from hypothesis import strategies as st

Declaration: TypeAlias = "Construct[Any, Any]"
Value: TypeAlias = Any

_BITS = {"b": 8, "h": 16, "l": 32, "q": 64}
_FLOATS = {
    "e": st.floats(width=16, allow_nan=False),
    "f": st.floats(width=32, allow_nan=False),
    "d": st.floats(width=64, allow_nan=False),
}


@dataclass(frozen=True)
class Case:
    """A declaration and the strategy of the values that it can build."""

    declaration: Declaration
    values: st.SearchStrategy[Value]


def _integers(bits: int, *, signed: bool) -> st.SearchStrategy[int]:
    half = 1 << (bits - 1)
    return st.integers(-half, half - 1) if signed else st.integers(0, 2 * half - 1)


@st.composite
def _numbers(draw: st.DrawFn, *, columnar: bool) -> Case:
    order = draw(st.sampled_from("><="))
    letter = draw(st.sampled_from("bhlqBHLQefd" if columnar else "bhlqBHLQefd?"))
    if letter == "?":
        return Case(FormatField(order, letter), st.booleans())
    if letter in _FLOATS:
        return Case(FormatField(order, letter), _FLOATS[letter])
    values = _integers(_BITS[letter.lower()], signed=letter.islower())
    return Case(FormatField(order, letter), values)


@st.composite
def _wide_integers(draw: st.DrawFn, *, columnar: bool) -> Case:
    size = draw(st.sampled_from([1, 2, 4, 8]) if columnar else st.integers(1, 9))
    signed = draw(st.booleans())
    declaration = BytesInteger(size, signed=signed, swapped=draw(st.booleans()))
    return Case(declaration, _integers(8 * size, signed=signed))


@st.composite
def _octets(draw: st.DrawFn, *, columnar: bool) -> Case:
    size = draw(st.integers(int(columnar), 5))
    return Case(Bytes(size), st.binary(min_size=size, max_size=size))


@st.composite
def _constants(draw: st.DrawFn, *, columnar: bool) -> Case:
    del columnar
    octets = draw(st.binary(min_size=1, max_size=3))
    numbers = [Const(octets), Const(octets[0], Int8ub), Const(octets[0], Int16ub)]
    return Case(draw(st.sampled_from(numbers)), st.none())


@st.composite
def _paddings(draw: st.DrawFn, *, columnar: bool) -> Case:
    size = draw(st.integers(int(columnar), 3))
    return Case(Padding(size, draw(st.sampled_from([b"\x00", b"\xaa"]))), st.none())


@st.composite
def _arrays(draw: st.DrawFn, *, columnar: bool, depth: int) -> Case:
    element = draw(_nodes(columnar=columnar, depth=depth - 1))
    # Beyond the unrolling limit too, so that loops are written.
    count = draw(st.integers(1, 4) | st.sampled_from([1, 70]))
    values = st.lists(element.values, min_size=count, max_size=count)
    return Case(Array(count, element.declaration), values)


@st.composite
def _sequences(draw: st.DrawFn, *, columnar: bool, depth: int) -> Case:
    nodes = draw(st.lists(_nodes(columnar=columnar, depth=depth - 1), min_size=1, max_size=3))
    values = st.tuples(*(node.values for node in nodes)).map(list)
    return Case(Sequence(*(node.declaration for node in nodes)), values)


@st.composite
def structs(draw: st.DrawFn, *, columnar: bool, depth: int = 3) -> Case:
    """A Struct; ``columnar`` keeps it to what a numpy dtype can hold."""
    fields: list[Declaration] = []
    values: dict[str, st.SearchStrategy[Value]] = {}
    for index in range(draw(st.integers(1, 4))):
        name = draw(st.sampled_from("abcd")) + str(index)
        kinds = ["field", "field", "nameless"] + ["counted", "blob", "outer"] * (not columnar)
        match draw(st.sampled_from(kinds)):
            case "field":
                node = draw(_nodes(columnar=columnar, depth=depth - 1))
                fields.append(name / node.declaration)
                values[name] = node.values
            case "nameless":
                constant = draw(_constants(columnar=columnar) | _paddings(columnar=columnar))
                fields.append(constant.declaration)
            case "counted":
                element = draw(_nodes(columnar=columnar, depth=depth - 1))
                # A signed count can be corrupted into a negative one.
                number = draw(st.sampled_from([Int8ub, Int16sb]))
                fields.append(f"n{index}" / Rebuild(number, len_(this[name])))
                fields.append(name / Array(this[f"n{index}"], element.declaration))
                values[name] = st.lists(element.values, max_size=3)
            case "blob":
                fields.append(f"n{index}" / Rebuild(Int8ub, len_(this[name])))
                fields.append(name / Bytes(this[f"n{index}"]))
                values[name] = st.binary(max_size=4)
            case _:
                fields.append(f"n{index}" / Rebuild(Int8ub, len_(this[name].text)))
                fields.append(name / Struct("x" / Int8ub, "text" / Bytes(this._[f"n{index}"])))
                texts = st.binary(max_size=3)
                values[name] = st.fixed_dictionaries({"x": st.integers(0, 255), "text": texts})
    if not values:
        fields.append("z" / Int8ub)
        values["z"] = st.integers(0, 255)
    return Case(Struct(*fields), st.fixed_dictionaries(values))


def _nodes(*, columnar: bool, depth: int) -> st.SearchStrategy[Case]:
    simple = (
        _numbers(columnar=columnar)
        | _numbers(columnar=columnar)
        | _wide_integers(columnar=columnar)
        | _octets(columnar=columnar)
        | _constants(columnar=columnar)
        | _paddings(columnar=columnar)
    )
    if depth <= 0:
        return simple
    return (
        simple
        | _arrays(columnar=columnar, depth=depth)
        | _sequences(columnar=columnar, depth=depth)
        | structs(columnar=columnar, depth=depth)
    )
