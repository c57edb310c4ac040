"""How an emulated ANSI meter is made: sizes of its lists, names, and what sources leave open."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.services import ResponseCode

LOAD_PROFILE_BLOCKS: Final = 960
"""Ten days of quarter-hours."""
EVENT_ENTRIES: Final = 256
STATUS_ENTRIES: Final = 64
HISTORY_ENTRIES: Final = 32


@dataclass(frozen=True, slots=True)
class MeterSwitches:
    """What the public sources do not settle about answers, each with its default's reason.

    ``unknown_table`` and ``read_only_table``: clients report IAR for both; some meters say ONP.
    ``outside_table``: for an offset, an index or a length that does not fit. ONP, as a length that
    cannot be served is an impossible operation, not a forbidden one.
    ``no_clearance``: for what the password given does not allow.
    ``sequence_error``: for a request out of its place, such as a read before Logon.
    ``default_table``: what a read of the default table gives, as ST0 names no default set: ST1,
    which everybody may read.
    """

    unknown_table: ResponseCode = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
    read_only_table: ResponseCode = ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
    outside_table: ResponseCode = ResponseCode.OPERATION_NOT_POSSIBLE
    no_clearance: ResponseCode = ResponseCode.INSUFFICIENT_SECURITY_CLEARANCE
    sequence_error: ResponseCode = ResponseCode.INVALID_SERVICE_SEQUENCE_STATE
    default_table: int = 1


@dataclass(frozen=True, slots=True)
class MeterSettings:
    """What all meters of a kind share; the registers come from the capture profile.

    ``blocks`` and the ``entries`` are the lengths of circular lists (1 to 65,535); ``max_read``
    is how many octets of a table one answer may hold (1 to 1 MiB); names are ISO 7-bit text.
    """

    blocks: int = LOAD_PROFILE_BLOCKS
    event_entries: int = EVENT_ENTRIES
    status_entries: int = STATUS_ENTRIES
    history_entries: int = HISTORY_ENTRIES
    max_read: int = 1 << 20
    manufacturer: str = "MTSM"
    model: str = "EMULATED"
    switches: MeterSwitches = MeterSwitches()


DEFAULT_SETTINGS: Final = MeterSettings()
