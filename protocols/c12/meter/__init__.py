"""An emulated ANSI C12.19 meter: its table images, and what answers requests for them.

`Meter` is the application that the servers of C12.18, C12.21 and C12.22 sit on.
`notification_writes` and `load_profile_writes` make what is pushed, `read_notifications` takes it
apart; `MeterFetch` says which reads pull a meter, `command_procedure` how to command one.
"""

from protocols.c12.meter.blocks import (
    Captures,
    block_layout,
    block_offsets,
    decode_blocks,
    encode_blocks,
    interval_data,
)
from protocols.c12.meter.clearance import Clearance, Passwords
from protocols.c12.meter.control import (
    command_procedure,
    decode_control_log,
    decode_outcome,
)
from protocols.c12.meter.direct_fetch import (
    DirectBlocks,
    DirectFetch,
    EventsSeen,
    Gathered,
    MeterAnswer,
)
from protocols.c12.meter.fetching import MeterFetch
from protocols.c12.meter.handing_over import HandedOver
from protocols.c12.meter.keepsakes import Keepsakes
from protocols.c12.meter.meter import Meter
from protocols.c12.meter.notification import (
    event_writes,
    load_profile_writes,
    notification_writes,
    read_notifications,
)
from protocols.c12.meter.schema import CONTROL_LOG, STATUS_LOG, MeterSchema, meter_schema
from protocols.c12.meter.settings import DEFAULT_SETTINGS, MeterSettings, MeterSwitches

__all__ = [
    "CONTROL_LOG",
    "DEFAULT_SETTINGS",
    "STATUS_LOG",
    "Captures",
    "Clearance",
    "DirectBlocks",
    "DirectFetch",
    "EventsSeen",
    "Gathered",
    "HandedOver",
    "Keepsakes",
    "Meter",
    "MeterAnswer",
    "MeterFetch",
    "MeterSchema",
    "MeterSettings",
    "MeterSwitches",
    "Passwords",
    "block_layout",
    "block_offsets",
    "command_procedure",
    "decode_blocks",
    "decode_control_log",
    "decode_outcome",
    "encode_blocks",
    "event_writes",
    "interval_data",
    "load_profile_writes",
    "meter_schema",
    "notification_writes",
    "read_notifications",
]
