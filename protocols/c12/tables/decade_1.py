"""Decade 1, data sources: ST11, ST12, ST15 and ST16."""

from __future__ import annotations

from typing import Final

from protocols.c12.tables.dimensions import SOURCE_FLAGS, Dimensions, Sources
from protocols.c12.tables.formats.bits import Bits
from protocols.c12.tables.formats.field import Declaration
from protocols.c12.tables.record import present, record
from protocols.c12.tables.types import Types
from protocols.errors import LocalProtocolError

UNIT_OF_MEASURE: Final[dict[str, Bits]] = {
    "code": (0, 7),
    "time_base": (8, 10),
    "multiplier": (11, 13),
    "quadrant_1": 14,
    "quadrant_2": 15,
    "quadrant_3": 16,
    "quadrant_4": 17,
    "net_flow": 18,
    "segmentation": (19, 21),
    "harmonic": 22,
    "resource": (23, 27),
    "not_standard": 31,
}
SOURCE_LINK: Final[dict[str, Bits]] = {
    "unit": 0,
    "demand_control": 1,
    "data_control": 2,
    "constants": 3,
    "engineering_units": 4,
    "constants_to_be_applied": 5,
}
ELECTRICITY: Final = 2


def actual_sources(types: Types, _dimensions: Dimensions) -> Declaration:
    """Declare ST11."""
    return record(
        "flags" / types.bit_field(1, SOURCE_FLAGS),
        "units" / types.uint8,
        "demand_controls" / types.uint8,
        "data_control_length" / types.uint8,
        "data_controls" / types.uint8,
        "constants" / types.uint8,
        "constants_selector" / types.uint8,
        "sources" / types.uint8,
    )


def units_of_measure(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST12."""
    sources = _sources(dimensions)
    return record("entries" / types.array(sources.units, types.bit_field(4, UNIT_OF_MEASURE)))


def constants(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST15 for electricity; raises `LocalProtocolError` for gas, whose layout is not known.

    The record was not seen whole in the facts. The choice: multiplier, offset, and for each of the
    two sets present a flag octet and the current and potential ratios, all NI_FMAT1.
    """
    sources = _sources(dimensions)
    if sources.constants_selector != ELECTRICITY:
        raise LocalProtocolError(f"constants of kind {sources.constants_selector} are not known")
    ratios = record(
        "flags" / types.bit_field(1, {"applied": 0}),
        "current_ratio" / types.number_1,
        "potential_ratio" / types.number_1,
    )
    one = record(
        "multiplier" / types.number_1,
        "offset" / types.number_1,
        present(sources.set_1_present, "set_1", ratios),
        present(sources.set_2_present, "set_2", ratios),
    )
    return record("entries" / types.array(sources.constants, one))


def source_definitions(types: Types, dimensions: Dimensions) -> Declaration:
    """Declare ST16: for each source, which tables of the decade have an entry for it."""
    sources = _sources(dimensions)
    return record("entries" / types.array(sources.sources, types.bit_field(1, SOURCE_LINK)))


def _sources(dimensions: Dimensions) -> Sources:
    if dimensions.sources is None:
        raise LocalProtocolError("the sizes of decade 1 (ST11) are not known")
    return dimensions.sources
