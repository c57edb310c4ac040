"""A COSEM object: a class table, a logical name, and small callables that hold the values.

Theory of operation
-------------------
`InterfaceClass` says which attributes and methods exist, their types and default rights. A
`CosemObject` adds the logical name, where values come from (a constant or a callable), what a
write does and what a method does. What an object does not supply it does not offer: effective
rights are the table's rights cut down to the readers, writers and methods that exist, so the
object list never promises more than the object keeps.

Objects are small and hold no state of their own; an emulated device with hundreds of meters
builds them when somebody asks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from protocols.dlms.apdu import ActionResult, DataAccessResult, SelectiveAccess
from protocols.dlms.axdr import encode_data
from protocols.dlms.cosem.access import (
    AttributeAccess,
    AttributeRights,
    Level,
    MethodAccess,
    MethodRights,
)
from protocols.dlms.data import Data, DataType, octet_string

LOGICAL_NAME_SIZE: Final = 6
LOGICAL_NAME_ATTRIBUTE: Final = 1


@dataclass(frozen=True, slots=True)
class Encoded:
    """A value that is A-XDR already, tag included; it is spliced into the response as it is."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a write or an action, and under which invocation counter (``None``: in clear)."""

    client_sap: int
    level: Level
    now: float
    invocation_counter: int | None = None


@dataclass(frozen=True, slots=True)
class ActionOutcome:
    """What a method did, and what it returned if it returns anything."""

    result: ActionResult
    returned: Data | None = None


Value: TypeAlias = Data | Encoded
Readable: TypeAlias = Value | DataAccessResult
Reader: TypeAlias = Callable[[], Readable]
SelectiveReader: TypeAlias = Callable[[SelectiveAccess], Readable]
Writer: TypeAlias = Callable[[Data, Caller], DataAccessResult]
Method: TypeAlias = Callable[[Data, Caller], ActionOutcome]


@dataclass(frozen=True, slots=True)
class AttributeSpec:
    """One row of a class's attribute table. No ``types`` means CHOICE: anything goes."""

    number: int
    name: str
    types: frozenset[DataType]
    rights: AttributeRights


@dataclass(frozen=True, slots=True)
class MethodSpec:
    """One row of a class's method table."""

    number: int
    name: str
    rights: MethodRights


@dataclass(frozen=True, slots=True)
class InterfaceClass:
    """A class of the Blue Book: its number, version, attributes and methods."""

    class_id: int
    version: int
    name: str
    attributes: Mapping[int, AttributeSpec]
    methods: Mapping[int, MethodSpec]


@dataclass(frozen=True, slots=True)
class CosemObject:
    """One object of a logical device.

    ``values`` and ``selective`` give attributes (without and with selective access), ``writers``
    takes them, ``methods`` acts. ``attribute_rights`` and ``method_rights`` replace rows of the
    class table. A client below ``visible_from`` does not see the object at all.
    """

    interface_class: InterfaceClass
    logical_name: bytes
    values: Mapping[int, Value | Reader]
    writers: Mapping[int, Writer] = field(default_factory=dict)
    methods: Mapping[int, Method] = field(default_factory=dict)
    selective: Mapping[int, SelectiveReader] = field(default_factory=dict)
    selectors: Mapping[int, tuple[int, ...]] = field(default_factory=dict)
    attribute_rights: Mapping[int, AttributeRights] = field(default_factory=dict)
    method_rights: Mapping[int, MethodRights] = field(default_factory=dict)
    visible_from: Level = Level.LOW

    @property
    def class_id(self) -> int:
        """The class identifier."""
        return self.interface_class.class_id

    @property
    def version(self) -> int:
        """The version of the class."""
        return self.interface_class.version

    def attribute_access(self, number: int, level: Level) -> AttributeAccess:
        """Return what a client of ``level`` may do with attribute ``number``."""
        spec = self.interface_class.attributes.get(number)
        if spec is None or level < self.visible_from:
            return AttributeAccess.NO_ACCESS
        allowed = self.attribute_rights.get(number, spec.rights).at(level)
        offered = 0
        if number == LOGICAL_NAME_ATTRIBUTE or number in self.values:
            offered |= AttributeAccess.READ_ONLY
        if number in self.writers:
            offered |= AttributeAccess.WRITE_ONLY
        return AttributeAccess(allowed & offered)

    def method_access(self, number: int, level: Level) -> MethodAccess:
        """Return whether a client of ``level`` may invoke method ``number``."""
        spec = self.interface_class.methods.get(number)
        if spec is None or level < self.visible_from or number not in self.methods:
            return MethodAccess.NO_ACCESS
        return self.method_rights.get(number, spec.rights).at(level)

    def read(self, number: int, access: SelectiveAccess | None, level: Level) -> Readable:
        """Answer a GET of attribute ``number`` by a client of ``level``."""
        if level < self.visible_from:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        if number not in self.interface_class.attributes:
            return DataAccessResult.OBJECT_UNDEFINED
        if not self.attribute_access(number, level).readable:
            return DataAccessResult.READ_WRITE_DENIED
        if access is not None:
            return self._read_selected(number, access)
        if number == LOGICAL_NAME_ATTRIBUTE:
            return octet_string(self.logical_name)
        value = self.values[number]
        return value() if callable(value) else value

    def write(
        self, number: int, access: SelectiveAccess | None, value: Data, caller: Caller
    ) -> DataAccessResult:
        """Answer a SET of attribute ``number``."""
        if caller.level < self.visible_from:
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        spec = self.interface_class.attributes.get(number)
        if spec is None:
            return DataAccessResult.OBJECT_UNDEFINED
        if not self.attribute_access(number, caller.level).writable or access is not None:
            return DataAccessResult.READ_WRITE_DENIED
        if spec.types and value.type not in spec.types:
            return DataAccessResult.TYPE_UNMATCHED
        return self.writers[number](value, caller)

    def invoke(self, number: int, parameters: Data, caller: Caller) -> ActionOutcome:
        """Answer an ACTION of method ``number``."""
        if caller.level < self.visible_from:
            return ActionOutcome(ActionResult.SCOPE_OF_ACCESS_VIOLATED)
        if number not in self.interface_class.methods:
            return ActionOutcome(ActionResult.OBJECT_UNDEFINED)
        if self.method_access(number, caller.level) is MethodAccess.NO_ACCESS:
            return ActionOutcome(ActionResult.READ_WRITE_DENIED)
        return self.methods[number](parameters, caller)

    def _read_selected(self, number: int, access: SelectiveAccess) -> Readable:
        if access.selector not in self.selectors.get(number, ()):
            # Blue Book 4.1.2: a selector that the attribute does not define has no scope.
            return DataAccessResult.SCOPE_OF_ACCESS_VIOLATED
        return self.selective[number](access)


def to_octets(value: Value) -> bytes:
    """Return ``value`` as A-XDR, tag included."""
    return value.octets if isinstance(value, Encoded) else encode_data(value)
