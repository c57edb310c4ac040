"""A logical device: its name, its SAP and its objects, as a client of some level sees them.

The objects are any mapping from logical name to object, so a device may build them when they are
asked for; iterating it (the object list) is the only thing that needs them all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from protocols.dlms.apdu import (
    ActionResult,
    CosemAttributeDescriptor,
    CosemMethodDescriptor,
    DataAccessResult,
    SelectiveAccess,
)
from protocols.dlms.cosem import objects
from protocols.dlms.cosem.access import Level
from protocols.dlms.cosem.base import ActionOutcome, Caller, CosemObject, Readable
from protocols.dlms.data import Data, octet_string

CURRENT_ASSOCIATION: Final = bytes.fromhex("0000280000ff")
"""0-0:40.0.0.255, the association the client speaks through."""
LOGICAL_DEVICE_NAME: Final = bytes.fromhex("00002a0000ff")
"""0-0:42.0.0.255."""


@dataclass(frozen=True, slots=True)
class LogicalDevice:
    """A logical device (IEC 62056-6-2, Blue Book 4.1.8).

    ``name`` is the logical device name (up to 16 octets), ``sap`` its wPort. The object that
    holds the name is there of itself, and so is the current association, which the session
    supplies.
    """

    name: bytes
    sap: int
    objects: Mapping[bytes, CosemObject]

    def find(self, logical_name: bytes) -> CosemObject | None:
        """Return the object of that logical name, or ``None``."""
        found = self.objects.get(logical_name)
        if found is None and logical_name == LOGICAL_DEVICE_NAME:
            return self._name_object()
        return found

    def visible(self, level: Level) -> Iterator[CosemObject]:
        """Yield the objects a client of ``level`` sees, the name first."""
        if LOGICAL_DEVICE_NAME not in self.objects:
            yield self._name_object()
        for item in self.objects.values():
            if level >= item.visible_from:
                yield item

    def _name_object(self) -> CosemObject:
        return objects.data(LOGICAL_DEVICE_NAME, octet_string(self.name), visible_from=Level.PUBLIC)


@dataclass(frozen=True, slots=True)
class DeviceView:
    """A logical device seen through one association: the device and its current association."""

    device: LogicalDevice
    association: CosemObject
    level: Level

    def get(self, attribute: CosemAttributeDescriptor, access: SelectiveAccess | None) -> Readable:
        """Answer one GET."""
        found = self._find(attribute.class_id, attribute.instance_id)
        if isinstance(found, DataAccessResult):
            return found
        return found.read(attribute.attribute_id, access, self.level)

    def set(
        self,
        attribute: CosemAttributeDescriptor,
        access: SelectiveAccess | None,
        value: Data,
        caller: Caller,
    ) -> DataAccessResult:
        """Answer one SET."""
        found = self._find(attribute.class_id, attribute.instance_id)
        if isinstance(found, DataAccessResult):
            return found
        return found.write(attribute.attribute_id, access, value, caller)

    def act(self, method: CosemMethodDescriptor, parameters: Data, caller: Caller) -> ActionOutcome:
        """Answer one ACTION."""
        found = self._find(method.class_id, method.instance_id)
        if isinstance(found, DataAccessResult):
            # Both enumerations give these results the same numbers.
            return ActionOutcome(ActionResult(int(found)))
        return found.invoke(method.method_id, parameters, caller)

    def _find(self, class_id: int, logical_name: bytes) -> CosemObject | DataAccessResult:
        if logical_name == CURRENT_ASSOCIATION:
            found: CosemObject | None = self.association
        else:
            found = self.device.find(logical_name)
        if found is None:
            return DataAccessResult.OBJECT_UNDEFINED
        if found.class_id != class_id:
            return DataAccessResult.OBJECT_CLASS_INCONSISTENT
        return found
