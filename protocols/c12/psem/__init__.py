"""C12.18 and C12.21: the serial line of a meter, both ends, without any I/O."""

from protocols.c12.psem.authentication import Authentication, encrypt_ticket
from protocols.c12.psem.client import PsemClient
from protocols.c12.psem.client_events import (
    Answered,
    ClientEvent,
    Failed,
    ProcedureAnswered,
    Refused,
)
from protocols.c12.psem.crc import packet_crc
from protocols.c12.psem.faults import Fault
from protocols.c12.psem.options import C12_18, C12_21, LinkOptions, Timing
from protocols.c12.psem.packet import Acknowledgement, Control, Packet
from protocols.c12.psem.procedure import Procedure, ProcedureResponse
from protocols.c12.psem.server import (
    BaudRateChosen,
    PsemServer,
    Served,
    ServerEvent,
    SessionEnded,
)
from protocols.c12.psem.server_options import C12_18_DEVICE, C12_21_DEVICE, ServerOptions

__all__ = [
    "C12_18",
    "C12_18_DEVICE",
    "C12_21",
    "C12_21_DEVICE",
    "Acknowledgement",
    "Answered",
    "Authentication",
    "BaudRateChosen",
    "ClientEvent",
    "Control",
    "Failed",
    "Fault",
    "LinkOptions",
    "Packet",
    "Procedure",
    "ProcedureAnswered",
    "ProcedureResponse",
    "PsemClient",
    "PsemServer",
    "Refused",
    "Served",
    "ServerEvent",
    "ServerOptions",
    "SessionEnded",
    "Timing",
    "encrypt_ticket",
    "packet_crc",
]
