"""JBD battery management systems over a UART or a stream: both ends, without any I/O."""

from protocols.asking import Failed
from protocols.bms.jbd.client import Answered, ClientEvent, JbdClient, Refused, Written
from protocols.bms.jbd.device import DeviceEvent, JbdDevice, ReadRequested, WriteRequested
from protocols.bms.jbd.faults import Fault
from protocols.bms.jbd.frame import Reply, Request
from protocols.bms.jbd.reader import Damage, Damaged, FrameReader
from protocols.bms.jbd.registers import (
    CELL_VOLTAGES,
    DEVICE_NAME,
    ENTER_CODE,
    ENTER_FACTORY_MODE,
    EXIT_CODES,
    EXIT_FACTORY_MODE,
    MAX_CHARGE_CURRENT,
    MAX_DISCHARGE_CURRENT,
    MOSFET_CONTROL,
    REGISTERS,
    REGULATOR,
    STATUS,
    Disabled,
    Register,
)
from protocols.bms.jbd.status import Mosfets, PackStatus, Protection

__all__ = [
    "CELL_VOLTAGES",
    "DEVICE_NAME",
    "ENTER_CODE",
    "ENTER_FACTORY_MODE",
    "EXIT_CODES",
    "EXIT_FACTORY_MODE",
    "MAX_CHARGE_CURRENT",
    "MAX_DISCHARGE_CURRENT",
    "MOSFET_CONTROL",
    "REGISTERS",
    "REGULATOR",
    "STATUS",
    "Answered",
    "ClientEvent",
    "Damage",
    "Damaged",
    "DeviceEvent",
    "Disabled",
    "Failed",
    "Fault",
    "FrameReader",
    "JbdClient",
    "JbdDevice",
    "Mosfets",
    "PackStatus",
    "Protection",
    "ReadRequested",
    "Refused",
    "Register",
    "Reply",
    "Request",
    "WriteRequested",
    "Written",
]
