"""SunSpec batteries over Modbus TCP: both ends, without any I/O."""

from protocols.sunspec.client import ModbusClient
from protocols.sunspec.device import DeviceEvent, ReadRequested, SunSpecDevice, WriteRequested
from protocols.sunspec.faults import Fault
from protocols.sunspec.host import (
    Found,
    HostEvent,
    JobFailed,
    JobRefused,
    PowerRead,
    PowerSet,
    StatusRead,
    SunSpecHost,
)
from protocols.sunspec.image import Change, IllegalAddress, Image, RegisterMap
from protocols.sunspec.models import model
from protocols.sunspec.storage import (
    COMMANDS,
    STORAGE_MODELS,
    StorageStatus,
    can_do,
    current_of_power,
    power_command,
    power_of_current,
    read_storage,
    storage_image,
    write_storage,
)

__all__ = [
    "COMMANDS",
    "STORAGE_MODELS",
    "Change",
    "DeviceEvent",
    "Fault",
    "Found",
    "HostEvent",
    "IllegalAddress",
    "Image",
    "JobFailed",
    "JobRefused",
    "ModbusClient",
    "PowerRead",
    "PowerSet",
    "ReadRequested",
    "RegisterMap",
    "StatusRead",
    "StorageStatus",
    "SunSpecDevice",
    "SunSpecHost",
    "WriteRequested",
    "can_do",
    "current_of_power",
    "model",
    "power_command",
    "power_of_current",
    "read_storage",
    "storage_image",
    "write_storage",
]
