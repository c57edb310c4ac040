"""The built-in types of one configuration, in one of two dresses.

A table is declared once, as a function of `Types`. In the exact dress its values are what people
use; in the column dress every field lowers, and `protocols.lowering.lower_to_dtype` makes rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

from construct import Array, Bytes, FormatField

from protocols.c12.tables.configuration import Configuration, IdentifierForm
from protocols.c12.tables.formats import bits, numbers, text, times
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration, Field
from protocols.c12.tables.record import absent


@dataclass(frozen=True, slots=True)
class Types:
    """What C12.19 calls its types, as declarations; ``columns`` chooses the dress."""

    configuration: Configuration
    columns: bool = False

    def number_1_field(self) -> Field:
        """Return NI_FMAT1 as a field."""
        return self._number(self.configuration.number_format_1)

    def number_2_field(self) -> Field:
        """Return NI_FMAT2 as a field."""
        return self._number(self.configuration.number_format_2)

    def ltime_field(self) -> Field | None:
        """Return LTIME_DATE as a field; ``None`` without a clock."""
        return times.ltime(self.configuration.time_format, self.configuration.byte_order)

    def stime_field(self) -> Field | None:
        """Return STIME_DATE as a field; ``None`` without a clock."""
        return times.stime(self.configuration.time_format, self.configuration.byte_order)

    def integer_field(self, size: int) -> Field:
        """Return INT8 to INT64, signed, in the configuration's form."""
        configuration = self.configuration
        return numbers.integer(size, configuration.byte_order, configuration.integer_form)

    def unsigned_field(self, size: int) -> Field:
        """Return UINT8 to UINT64."""
        return numbers.integer(size, self.configuration.byte_order, signed=False)

    @property
    def number_1(self) -> Declaration:
        """NI_FMAT1."""
        return self._dressed(self.number_1_field())

    @property
    def number_2(self) -> Declaration:
        """NI_FMAT2."""
        return self._dressed(self.number_2_field())

    @property
    def ltime(self) -> Declaration | None:
        """LTIME_DATE; ``None`` without a clock."""
        field = self.ltime_field()
        return None if field is None else self._dressed(field)

    @property
    def stime(self) -> Declaration | None:
        """STIME_DATE; ``None`` without a clock."""
        field = self.stime_field()
        return None if field is None else self._dressed(field)

    @property
    def time_of_day(self) -> Declaration | None:
        """TIME; ``None`` without a clock. In the column dress its fields stay octets."""
        if self.columns and self.configuration.time_format.has_fields:
            return self.octets(3)
        return times.time_of_day(self.configuration.time_format, self.configuration.byte_order)

    @property
    def uint8(self) -> Declaration:
        """UINT8."""
        return FormatField(">", "B")

    @property
    def uint16(self) -> Declaration:
        """UINT16."""
        return FormatField(self.configuration.byte_order.value, "H")

    @property
    def uint32(self) -> Declaration:
        """UINT32."""
        return FormatField(self.configuration.byte_order.value, "L")

    def dressed(self, field: Field) -> Declaration:
        """Return ``field`` in this dress."""
        return self._dressed(field)

    def bit_field(self, size: int, names: Mapping[str, Bits]) -> Declaration:
        """Return named bits; in the column dress the integer that they are part of."""
        if self.columns:
            return self._dressed(self.unsigned_field(size))
        return bits.BitField(size, self.configuration.byte_order, names)

    def bit_set(self, size: int) -> Declaration:
        """Return a SET of ``size`` octets; in the column dress its octets."""
        return self.octets(size) if self.columns else bits.BitSet(size)

    def text(self, size: int) -> Declaration:
        """Return STRING of ``size`` octets; in the column dress its octets."""
        if self.columns:
            return self.octets(size)
        configuration = self.configuration
        return text.Text(size, configuration.character_format, configuration.byte_order)

    def identifier(self, size: int) -> Declaration:
        """Return an identifier of ``size`` octets as text, half as many as packed decimal."""
        packed = self.configuration.identifier_form is IdentifierForm.PACKED_DECIMAL
        if self.columns:
            return self.octets(size // 2 if packed else size)
        configuration = self.configuration
        return text.identifier(
            size, configuration.character_format, configuration.byte_order, packed=packed
        )

    def octets(self, size: int) -> Declaration:
        """Return BINARY of ``size`` octets."""
        binary: Declaration = Bytes(size)
        return absent() if self.columns and not size else binary

    def array(self, count: int, element: Declaration) -> Declaration:
        """Return an array of ``count`` elements.

        In the column dress an empty one has no column, because numpy has none of no octets.
        """
        elements = cast("Declaration", Array(count, element))
        return absent() if self.columns and not count else elements

    def _number(self, ni: numbers.NumberFormat) -> Field:
        configuration = self.configuration
        return numbers.number(
            ni,
            configuration.byte_order,
            configuration.integer_form,
            bcd_follows_order=configuration.options.bcd_follows_data_order,
        )

    def _dressed(self, field: Field) -> Declaration:
        return field.wire if self.columns else field.exact
