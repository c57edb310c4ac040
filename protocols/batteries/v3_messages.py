"""The protobuf messages of dialect v3, as a table: numbers and types of their fields.

The table becomes a descriptor, so protobuf itself reads and writes the octets; nothing is
generated. Every field named ``one of`` excludes the others of its message.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import DecodeError, Message
from google.protobuf.message_factory import GetMessageClass

from protocols.errors import CodecError

CODEC: Final = "battery dialect v3"

SCHEDULE_SET_CURRENT: Final = 0
GET_STATUS: Final = 1
REMOVE: Final = 2
SET_STATUS: Final = 3
SET_SCHEDULE: Final = 4

CONNECTED: Final = 0
DOES_NOT_EXIST: Final = 2

_PACKAGE: Final = "networked_battery"
_TYPES: Final = {
    "double": FieldDescriptorProto.TYPE_DOUBLE,
    "uint64": FieldDescriptorProto.TYPE_UINT64,
    "int64": FieldDescriptorProto.TYPE_INT64,
    # Of an enumeration only the number is on the wire, which any number may be.
    "enum": FieldDescriptorProto.TYPE_INT32,
    "string": FieldDescriptorProto.TYPE_STRING,
    "bytes": FieldDescriptorProto.TYPE_BYTES,
}

# Message: field number -> (name, type, whether it is one of several).
MESSAGES: Final[Mapping[str, Mapping[int, tuple[str, str, bool]]]] = {
    "Connect": {1: ("name", "string", False)},
    "ConnectReply": {1: ("code", "enum", False)},
    "Status": {
        1: ("voltage_mv", "double", False),
        2: ("current_ma", "double", False),
        3: ("charge_mah", "double", False),
        4: ("capacity_mah", "double", False),
        5: ("max_charge_current_ma", "double", False),
        6: ("max_discharge_current_ma", "double", False),
        7: ("at_ms", "uint64", False),
    },
    "SetCurrent": {
        1: ("current_ma", "double", False),
        2: ("start_ms", "uint64", False),
        3: ("end_ms", "uint64", False),
    },
    "SetSchedule": {1: ("schedule", "bytes", False)},
    "Command": {
        1: ("command", "enum", False),
        2: ("status", "Status", True),
        3: ("set_current", "SetCurrent", True),
        4: ("set_schedule", "SetSchedule", True),
    },
    "StatusReply": {
        1: ("code", "int64", False),
        2: ("failure", "string", True),
        3: ("status", "Status", True),
    },
    "SetCurrentReply": {
        1: ("code", "int64", False),
        2: ("success", "string", True),
        3: ("failure", "string", True),
    },
    "RemoveReply": {
        1: ("code", "int64", False),
        2: ("success", "string", True),
        3: ("failure", "string", True),
    },
    "SetStatusReply": {1: ("code", "int64", False), 2: ("reason", "string", False)},
}


def _describe() -> FileDescriptorProto:
    file = FileDescriptorProto(name=f"{_PACKAGE}.proto", package=_PACKAGE, syntax="proto3")
    for name, fields in MESSAGES.items():
        message = file.message_type.add(name=name)
        if any(one_of for _, _, one_of in fields.values()):
            message.oneof_decl.add(name="one_of")
        for number, (field_name, kind, one_of) in fields.items():
            field = message.field.add(
                name=field_name, number=number, label=FieldDescriptorProto.LABEL_OPTIONAL
            )
            if kind in _TYPES:
                field.type = _TYPES[kind]
            else:
                field.type = FieldDescriptorProto.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{kind}"
            if one_of:
                field.oneof_index = 0
    return file


def _classes() -> dict[str, type[Message]]:
    pool = DescriptorPool()
    pool.Add(_describe())
    return {
        name: GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in MESSAGES
    }


_CLASSES: Final = _classes()


def build(message: str, /, **fields: Any) -> bytes:  # noqa: ANN401 (whatever the table says)
    """Return ``message`` with ``fields`` as octets; raises `CodecError` for what does not fit."""
    try:
        octets: bytes = _CLASSES[message](**fields).SerializeToString(deterministic=True)
    except (TypeError, ValueError) as problem:
        raise CodecError(str(problem), codec=CODEC, path=message) from problem
    return octets


def parse(name: str, octets: bytes) -> Any:  # noqa: ANN401 (protobuf's own object)
    """Return the message ``name`` from octets; raises `CodecError`."""
    message = _CLASSES[name]()
    try:
        message.ParseFromString(octets)
    except DecodeError as problem:
        raise CodecError("is no such message", codec=CODEC, path=name) from problem
    return message
