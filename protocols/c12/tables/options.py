"""What the public sources leave open about C12.19 tables, each as a switch with its reason."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TableOptions:
    """Readings of C12.19 that sources do not settle.

    ``bcd_follows_data_order``: whether BCD4, BCD6 and BCD8 numbers turn round with DATA_ORDER.
    Default no: packed decimals are arrays of digits, and arrays keep their order.

    ``absent_elements_keep_their_index``: whether an element that the configuration leaves out of a
    record still takes an index in index reads. Default yes: then an index names the same element
    in every device.
    """

    bcd_follows_data_order: bool = False
    absent_elements_keep_their_index: bool = True
