"""Current registers (ST23) of many meters of one configuration at once.

The octets are declared once, in `decade_2`; numpy rows come from lowering that declaration. Values
are integers: what NI_FMAT1 cannot hold exactly is refused. Devices with demands or coincident
values are read as well; only what has summations alone can be written here.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.tables.configuration import Configuration
from protocols.c12.tables.dimensions import Dimensions, Registers
from protocols.c12.tables.formats.field import Field
from protocols.c12.tables.interval_blocks import Integers, Octets, times_exactly, whole_numbers
from protocols.c12.tables.registry import STANDARD_TABLES
from protocols.c12.tables.types import Types
from protocols.errors import LocalProtocolError
from protocols.lowering import FixedLayout, lower_to_dtype

CODEC: Final = "ST23 rows"


@dataclass(frozen=True, slots=True, eq=False)
class RegisterLayout:
    """How ST23 looks; see `register_layout`."""

    rows: FixedLayout
    number: Field
    unit: int
    registers: Registers

    @property
    def size(self) -> int:
        """The octets of ST23."""
        return self.rows.size

    def encode(self, summations: Integers, demand_resets: NDArray[Any] | int = 0) -> Octets:
        """Return ST23 of m meters as uint8 (m, size).

        ``summations`` int64 (m, 1 + tiers, summations): the totals, then each tier.

        Raises:
            CodecError: a value does not fit NI_FMAT1.
            LocalProtocolError: the device has demands or coincident values.
        """
        if self.registers.demands or self.registers.coincident_values:
            raise LocalProtocolError("demands are not written by rows")
        wanted = times_exactly(np.asarray(summations, np.int64), self.unit)
        columns: dict[str, Any] = {
            "demand_resets": demand_resets,
            "total": {"summations": self.number.to_wire(wanted[:, 0])},
            "tiers": {"summations": self.number.to_wire(wanted[:, 1:])},
        }
        return self.rows.encode(columns, len(wanted))

    def decode(self, octets: Octets) -> Integers:
        """Return the summations, int64 (m, 1 + tiers, summations), of uint8 (m, size).

        Raises `CodecError` when the octets are no rows, or a value is not whole.
        """
        rows = self.rows.decode(octets.tobytes(), len(octets))
        blocks = [rows["total"]["summations"][:, None]]
        if self.registers.tiers:
            blocks.append(rows["tiers"]["summations"])
        values = [whole_numbers(self.number.to_values(block), self.unit) for block in blocks]
        return np.concatenate(values, axis=1)


@lru_cache(maxsize=256)
def register_layout(configuration: Configuration, dimensions: Dimensions) -> RegisterLayout:
    """Return the layout of ST23; raises `LocalProtocolError` without summations or without ST21."""
    declaration = STANDARD_TABLES.declaration(23, configuration, dimensions, columns=True)
    registers = dimensions.registers
    if registers is None or not registers.summations:
        raise LocalProtocolError("a device without summation registers")
    return RegisterLayout(
        lower_to_dtype(declaration, CODEC),
        Types(configuration, columns=True).number_1_field(),
        configuration.number_format_1.unit,
        registers,
    )
