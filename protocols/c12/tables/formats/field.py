"""What a built-in type is: exact values one at a time, and columns of them by the thousand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
from construct import Adapter, Construct, ConstructError
from numpy.typing import NDArray

from protocols.errors import CodecError

Declaration: TypeAlias = "Construct[Any, Any]"
# A column as `protocols.lowering` gives and takes it: an array, or one per member of a struct.
Column: TypeAlias = Any
Values: TypeAlias = NDArray[Any]

if TYPE_CHECKING:
    ExactAdapter = Adapter[Any, Any, Any, Any]
else:  # construct's classes are generic in their stubs only
    ExactAdapter = Adapter

FORMATS = "C12.19 formats"
"""The codec that errors of columns name."""


class ByteOrder(Enum):
    """DATA_ORDER of ST0: how fields of more than one octet travel, as numpy and struct write it."""

    LITTLE = "<"
    BIG = ">"

    @property
    def is_little(self) -> bool:
        """Whether the least significant octet comes first."""
        return self is ByteOrder.LITTLE


@dataclass(frozen=True, slots=True, eq=False)
class Field:
    """One built-in type under one configuration.

    ``exact`` parses to and builds from plain values (int, Decimal, float, POSIX seconds).
    ``wire`` has the same octets and always lowers to a numpy dtype; ``to_values`` turns its column
    into an array of values and ``to_wire`` values into a column. Both raise `CodecError`.
    """

    exact: Declaration
    wire: Declaration
    to_values: Callable[[Column], Values]
    to_wire: Callable[[Values], Column]

    @property
    def size(self) -> int:
        """The octets of one value."""
        return int(self.wire.sizeof())


def plain_field(declaration: Declaration, dtype: str) -> Field:
    """Return a field whose wire numbers are its values; ``dtype`` is that of the values."""

    def to_values(column: Column) -> Values:
        return np.asarray(column).astype(dtype)

    return Field(declaration, declaration, to_values, np.asarray)


def misfit(message: str, path: str = "") -> CodecError:
    """Return the error of a column that does not fit."""
    return CodecError(message, codec=FORMATS, path=path)


def refuse(message: str, path: str) -> ConstructError:
    """Return the error of a value that does not fit, for construct to carry outwards."""
    return ConstructError(message, path=path)
