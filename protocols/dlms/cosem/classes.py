"""The interface classes we have, as tables (IEC 62056-6-2, the Blue Book, clause by clause).

One row is one attribute or method: number, name, types, default rights. An object may replace
the rights of any row; what it does not supply is not offered whatever the row says.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from protocols.dlms.cosem.access import (
    INVOKE_ANY,
    INVOKE_HIGH,
    INVOKE_LOW,
    READ,
    READ_WRITE,
    READ_WRITE_HIGH,
    WRITE_HIGH,
    AttributeRights,
    MethodRights,
)
from protocols.dlms.cosem.base import AttributeSpec, InterfaceClass, MethodSpec
from protocols.dlms.data import DataType as T

Types: TypeAlias = "T | tuple[T, ...]"
ANY: Final[tuple[T, ...]] = ()


def _interface_class(
    class_id: int,
    version: int,
    name: str,
    attributes: Sequence[tuple[str, Types, AttributeRights]],
    methods: Sequence[tuple[str, MethodRights]] = (),
) -> InterfaceClass:
    rows = [("logical_name", T.OCTET_STRING, READ), *attributes]
    specs = [
        AttributeSpec(number, row, frozenset(types if isinstance(types, tuple) else (types,)), r)
        for number, (row, types, r) in enumerate(rows, 1)
    ]
    actions = [MethodSpec(number, row, rights) for number, (row, rights) in enumerate(methods, 1)]
    return InterfaceClass(
        class_id,
        version,
        name,
        {spec.number: spec for spec in specs},
        {action.number: action for action in actions},
    )


DATA: Final = _interface_class(1, 0, "Data", [("value", ANY, READ_WRITE_HIGH)])

REGISTER: Final = _interface_class(
    3,
    0,
    "Register",
    [("value", ANY, READ_WRITE_HIGH), ("scaler_unit", T.STRUCTURE, READ)],
    [("reset", INVOKE_HIGH)],
)

EXTENDED_REGISTER: Final = _interface_class(
    4,
    0,
    "Extended register",
    [
        ("value", ANY, READ_WRITE_HIGH),
        ("scaler_unit", T.STRUCTURE, READ),
        ("status", ANY, READ),
        ("capture_time", T.OCTET_STRING, READ),
    ],
    [("reset", INVOKE_HIGH)],
)

PROFILE_GENERIC: Final = _interface_class(
    7,
    1,
    "Profile generic",
    [
        ("buffer", T.ARRAY, READ),
        ("capture_objects", T.ARRAY, READ_WRITE_HIGH),
        ("capture_period", T.DOUBLE_LONG_UNSIGNED, READ_WRITE_HIGH),
        ("sort_method", T.ENUM, READ),
        ("sort_object", T.STRUCTURE, READ),
        ("entries_in_use", T.DOUBLE_LONG_UNSIGNED, READ),
        ("profile_entries", T.DOUBLE_LONG_UNSIGNED, READ_WRITE_HIGH),
    ],
    [("reset", INVOKE_HIGH), ("capture", INVOKE_LOW)],
)

CLOCK: Final = _interface_class(
    8,
    0,
    "Clock",
    [
        ("time", (T.OCTET_STRING, T.DATE_TIME), READ_WRITE),
        ("time_zone", T.LONG, READ_WRITE_HIGH),
        ("status", T.UNSIGNED, READ),
        ("daylight_savings_begin", T.OCTET_STRING, READ_WRITE_HIGH),
        ("daylight_savings_end", T.OCTET_STRING, READ_WRITE_HIGH),
        ("daylight_savings_deviation", T.INTEGER, READ_WRITE_HIGH),
        ("daylight_savings_enabled", T.BOOLEAN, READ_WRITE_HIGH),
        ("clock_base", T.ENUM, READ),
    ],
    [
        ("adjust_to_quarter", INVOKE_LOW),
        ("adjust_to_measuring_period", INVOKE_LOW),
        ("adjust_to_minute", INVOKE_LOW),
        ("adjust_to_preset_time", INVOKE_LOW),
        ("preset_adjusting_time", INVOKE_LOW),
        ("shift_time", INVOKE_LOW),
    ],
)

SCRIPT_TABLE: Final = _interface_class(
    9, 0, "Script table", [("scripts", T.ARRAY, READ)], [("execute", INVOKE_LOW)]
)

ASSOCIATION_LN: Final = _interface_class(
    15,
    1,
    "Association LN",
    [
        ("object_list", T.ARRAY, READ),
        ("associated_partners_id", T.STRUCTURE, READ),
        ("application_context_name", (T.OCTET_STRING, T.STRUCTURE), READ),
        ("xdlms_context_info", T.STRUCTURE, READ),
        ("authentication_mechanism_name", (T.OCTET_STRING, T.STRUCTURE), READ),
        ("secret", T.OCTET_STRING, WRITE_HIGH),
        ("association_status", T.ENUM, READ),
        ("security_setup_reference", T.OCTET_STRING, READ),
    ],
    [
        ("reply_to_hls_authentication", INVOKE_ANY),
        ("change_hls_secret", INVOKE_HIGH),
        ("add_object", INVOKE_HIGH),
        ("remove_object", INVOKE_HIGH),
    ],
)

SAP_ASSIGNMENT: Final = _interface_class(
    17,
    0,
    "SAP assignment",
    [("sap_assignment_list", T.ARRAY, READ)],
    [("connect_logical_device", INVOKE_HIGH)],
)

PUSH_SETUP: Final = _interface_class(
    40,
    0,
    "Push setup",
    [
        ("push_object_list", T.ARRAY, READ_WRITE_HIGH),
        ("send_destination_and_method", T.STRUCTURE, READ_WRITE_HIGH),
        ("communication_window", T.ARRAY, READ_WRITE_HIGH),
        ("randomisation_start_interval", T.LONG_UNSIGNED, READ_WRITE_HIGH),
        ("number_of_retries", T.UNSIGNED, READ_WRITE_HIGH),
        ("repetition_delay", T.LONG_UNSIGNED, READ_WRITE_HIGH),
    ],
    [("push", INVOKE_LOW)],
)

SECURITY_SETUP: Final = _interface_class(
    64,
    0,
    "Security setup",
    [
        ("security_policy", T.ENUM, READ),
        ("security_suite", T.ENUM, READ),
        ("client_system_title", T.OCTET_STRING, READ),
        ("server_system_title", T.OCTET_STRING, READ),
    ],
    [("security_activate", INVOKE_HIGH), ("global_key_transfer", INVOKE_HIGH)],
)

DISCONNECT_CONTROL: Final = _interface_class(
    70,
    0,
    "Disconnect control",
    [
        ("output_state", T.BOOLEAN, READ),
        ("control_state", T.ENUM, READ),
        ("control_mode", T.ENUM, READ_WRITE_HIGH),
    ],
    [("remote_disconnect", INVOKE_LOW), ("remote_reconnect", INVOKE_LOW)],
)

INTERFACE_CLASSES: Final = {
    interface_class.class_id: interface_class
    for interface_class in (
        DATA,
        REGISTER,
        EXTENDED_REGISTER,
        PROFILE_GENERIC,
        CLOCK,
        SCRIPT_TABLE,
        ASSOCIATION_LN,
        SAP_ASSIGNMENT,
        PUSH_SETUP,
        SECURITY_SETUP,
        DISCONNECT_CONTROL,
    )
}
