"""The logical devices of a concentrator: its own, and one for every meter behind it.

Objects are made when they are asked for and hold nothing: a shard has thousands of concentrators
with hundreds of meters each, and a client asks for a handful of objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TypeAlias

from protocols.dlms.apdu import DataAccessResult
from protocols.dlms.concentrator_profile import PUSH_SETUP
from protocols.dlms.cosem import objects
from protocols.dlms.cosem.access import (
    INVOKE_ANY,
    AttributeAccess,
    AttributeRights,
    Level,
)
from protocols.dlms.cosem.base import CosemObject, Readable
from protocols.dlms.cosem.device import LOGICAL_DEVICE_NAME, LogicalDevice
from protocols.dlms.cosem.profile import CaptureObject
from protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    long_unsigned,
    octet_string,
    structure,
)
from protocols.dlms.plugin import addresses
from protocols.dlms.plugin.addresses import (
    FIRST_METER_DEVICE,
    LAST_DEVICE,
    MANAGEMENT_DEVICE,
    meter_address,
)
from protocols.dlms.plugin.interval_buffer import columns_of, load_profile
from protocols.dlms.plugin.meter_device import MeterDevice
from protocols.plugin import ConcentratorModel

Builders: TypeAlias = Mapping[bytes, Callable[[], CosemObject]]


class LazyObjects(Mapping[bytes, CosemObject]):
    """Objects by logical name, made when asked for and changed by ``change``."""

    def __init__(
        self, builders: Builders, change: Callable[[CosemObject], CosemObject] | None
    ) -> None:
        self._builders = builders
        self._change = change

    def __getitem__(self, logical_name: bytes) -> CosemObject:
        """Make one object, or raise `KeyError`."""
        made = self._builders[logical_name]()
        return made if self._change is None else self._change(made)

    def __iter__(self) -> Iterator[bytes]:
        """Go through the logical names, without making anything."""
        return iter(self._builders)

    def __len__(self) -> int:
        """The number of objects."""
        return len(self._builders)


def open_to_all(item: CosemObject) -> CosemObject:
    """Return ``item`` as it is where nobody has to authenticate: whoever asks may do it."""
    everything = AttributeRights(*(AttributeAccess.READ_AND_WRITE,) * 3)
    return replace(
        item,
        visible_from=Level.PUBLIC,
        attribute_rights=dict.fromkeys(item.writers, everything),
        method_rights=dict.fromkeys(item.methods, INVOKE_ANY),
    )


@dataclass(frozen=True, slots=True)
class Security:
    """What the security objects show: policy, own title, and who the client is."""

    policy: int
    system_title: bytes
    client_system_title: Callable[[], bytes]
    last_accepted: Callable[[], int | None]
    """The last invocation counter accepted from the client; ``None`` for no known client."""


class Devices:
    """Finds the logical device behind a wPort of one concentrator.

    With ``guarded`` false (no authentication in this run) every client may do everything.
    """

    def __init__(self, model: ConcentratorModel, security: Security, *, guarded: bool) -> None:
        self._model = model
        self._security = security
        self._change = None if guarded else open_to_all
        self._names = model.meter_names

    def resolve(self, address: int) -> LogicalDevice | None:
        """Return the logical device at ``address`` (wPort), or ``None``."""
        if address == MANAGEMENT_DEVICE:
            return LogicalDevice(self._model.name, address, self._lazy(self._management()))
        meter = address - FIRST_METER_DEVICE
        if not 0 <= meter < len(self._names) or address > LAST_DEVICE:
            return None
        name = bytes(self._names[meter])
        return LogicalDevice(name, address, self._lazy(MeterDevice(self._model, meter).builders()))

    def _lazy(self, builders: Builders) -> LazyObjects:
        return LazyObjects(builders, self._change)

    def _management(self) -> Builders:
        return {
            addresses.CLOCK: lambda: objects.clock(addresses.CLOCK, now_s=self._model.clock_s),
            addresses.SAP_ASSIGNMENT: lambda: objects.sap_assignment(
                addresses.SAP_ASSIGNMENT, self._saps
            ),
            addresses.METER_LIST: lambda: objects.data(
                addresses.METER_LIST, self._meter_list, visible_from=Level.PUBLIC
            ),
            addresses.LOAD_PROFILE: self._profile,
            PUSH_SETUP: _push_setup,
            addresses.SECURITY_SETUP: self._security_setup,
            addresses.INVOCATION_COUNTER: lambda: objects.data(
                addresses.INVOCATION_COUNTER, self._last_accepted, visible_from=Level.PUBLIC
            ),
        }

    def _saps(self) -> list[tuple[int, bytes]]:
        return [(MANAGEMENT_DEVICE, self._model.name), *self._meters()]

    def _meters(self) -> list[tuple[int, bytes]]:
        addressable = self._names[: LAST_DEVICE - FIRST_METER_DEVICE + 1].tolist()
        return [(meter_address(meter), name) for meter, name in enumerate(addressable)]

    def _meter_list(self) -> Data:
        """Return the list as Elvaco's CMe3100 has it: own name, then names and channels."""
        return structure(
            octet_string(self._model.name),
            array(
                structure(octet_string(name), long_unsigned(address))
                for address, name in self._meters()
            ),
        )

    def _profile(self) -> CosemObject:
        return load_profile(self._model, range(len(self._names)), columns_of(self._model.registers))

    def _security_setup(self) -> CosemObject:
        return objects.security_setup(
            addresses.SECURITY_SETUP,
            security_policy=self._security.policy,
            client_system_title=self._security.client_system_title,
            server_system_title=self._security.system_title,
        )

    def _last_accepted(self) -> Readable:
        counter = self._security.last_accepted()
        if counter is None:
            return DataAccessResult.OBJECT_UNAVAILABLE
        return double_long_unsigned(counter)


def _push_setup() -> CosemObject:
    """Return the push setup: what a push holds. Where it goes is provisioned, not shown."""
    return objects.push_setup(
        PUSH_SETUP,
        objects=(
            CaptureObject(1, LOGICAL_DEVICE_NAME, 2),
            CaptureObject(40, PUSH_SETUP, 1),
            CaptureObject(7, addresses.LOAD_PROFILE, 2),
        ),
        destination=objects.PushDestination(b""),
    )
