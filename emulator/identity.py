"""Who is who: names, system titles, test keys and addresses, all from a number.

A meter's identifier is its logical device name, 16 octets: manufacturer code ``MST`` and its
number plus one. The keys made here are TEST KEYS: anybody who knows the seed knows them. A real
fleet names a key file.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from hmac import digest
from ipaddress import IPv4Address, ip_address
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from netem.addresses import AddressPlan

METER_PREFIX: Final = b"MST"
CONCENTRATOR_PREFIX: Final = b"MSC"
HEAD_END_PREFIX: Final = b"MSH"
NAME_DIGITS: Final = 13
NAME_OCTETS: Final = 16
KEY_OCTETS: Final = 16

# 127.0.0.0/16 is left to the machine's own services; .0 and .255 read like network and broadcast.
_FIRST_NETWORK: Final = int(IPv4Address("127.1.0.0"))
_HOSTS_PER_NETWORK: Final = 254
ADDRESSES: Final = 255 * 256 * _HOSTS_PER_NETWORK
"""Distinct loopback addresses of the plan: 16,581,120."""

NameArray = NDArray[np.bytes_]


def meter_name(meter: int) -> bytes:
    """Return a meter's logical device name, 16 ASCII octets."""
    return METER_PREFIX + b"%013d" % (meter + 1)


def concentrator_name(concentrator: int) -> bytes:
    """Return a concentrator's logical device name, 16 ASCII octets."""
    return CONCENTRATOR_PREFIX + b"%013d" % (concentrator + 1)


def head_end_name(shard: int) -> bytes:
    """Return the device name of one shard of the head-end, 16 ASCII octets."""
    return HEAD_END_PREFIX + b"%013d" % (shard + 1)


def meter_names(first: int, last: int) -> NameArray:
    """Return the names of meters ``first`` .. ``last - 1``, dtype S16."""
    numbers = np.arange(first + 1, last + 1, dtype=np.int64)
    octets = np.empty((len(numbers), NAME_OCTETS), np.uint8)
    octets[:, : len(METER_PREFIX)] = np.frombuffer(METER_PREFIX, np.uint8)
    for column in range(octets.shape[1] - 1, len(METER_PREFIX) - 1, -1):
        numbers, digits = np.divmod(numbers, 10)
        octets[:, column] = digits + ord("0")
    return octets.view("S16")[:, 0]


def meter_numbers(names: NameArray) -> NDArray[np.int64]:
    """Return the number of the meter that each name (dtype S16) belongs to, int64.

    -1 for a name that is not one of ours.
    """
    octets = np.ascontiguousarray(names).view(np.uint8).reshape(len(names), NAME_OCTETS)
    prefix, digits = np.split(octets, [len(METER_PREFIX)], axis=1)
    values = digits - np.uint8(ord("0"))
    numbers = values.astype(np.int64) @ 10 ** np.arange(NAME_DIGITS - 1, -1, -1) - 1
    ours = (prefix == np.frombuffer(METER_PREFIX, np.uint8)).all(axis=1) & (values < 10).all(axis=1)
    return np.where(ours, numbers, np.int64(-1))


def concentrator_system_title(concentrator: int) -> bytes:
    """Return a concentrator's system title, 8 octets."""
    return CONCENTRATOR_PREFIX + (concentrator + 1).to_bytes(5, "big")


def head_end_system_title(shard: int) -> bytes:
    """Return the system title of one shard of the head-end, 8 octets."""
    return HEAD_END_PREFIX + (shard + 1).to_bytes(5, "big")


def serial_number(meter: int) -> str:
    """Return the serial number printed on a meter: its identifier without the manufacturer."""
    return f"{meter + 1:0{NAME_DIGITS}d}"


@dataclass(frozen=True, slots=True)
class SeededTestKeys:
    """The keys of one device under security suite 0: TEST KEYS, derived from the seed."""

    unicast_encryption_key: bytes
    """Global unicast encryption key, 16 octets."""
    authentication_key: bytes
    """Global authentication key, 16 octets."""
    secret: bytes
    """Low-level security secret, 16 octets."""


def seeded_test_keys(seed: int, device: bytes) -> SeededTestKeys:
    """Return the test keys of the device with that logical device name."""
    return SeededTestKeys(
        unicast_encryption_key=_test_key(seed, device, b"unicast encryption"),
        authentication_key=_test_key(seed, device, b"authentication"),
        secret=_test_key(seed, device, b"low-level security secret"),
    )


def _test_key(seed: int, device: bytes, purpose: bytes) -> bytes:
    message = b"\0".join((b"meterstorm test key", device, purpose))
    return digest(b"%d" % seed, message, sha256)[:KEY_OCTETS]


def concentrator_address(concentrator: int) -> str:
    """Return the loopback address of a concentrator: 127.x.y.z, x 1..255, y 0..255, z 1..254.

    Raises:
        ValueError: there are not that many addresses.
    """
    if not 0 <= concentrator < ADDRESSES:
        raise ValueError(f"concentrator {concentrator}: only {ADDRESSES:,} loopback addresses")
    network, host = divmod(concentrator, _HOSTS_PER_NETWORK)
    return str(IPv4Address(_FIRST_NETWORK + network * 256 + host + 1))


def concentrator_at(address: str) -> int | None:
    """Return the concentrator that has ``address``, or None where it is outside the plan."""
    network, host = divmod(int(IPv4Address(address)) - _FIRST_NETWORK, 256)
    if not 0 <= network < 255 * 256 or not 1 <= host <= _HOSTS_PER_NETWORK:
        return None
    return network * _HOSTS_PER_NETWORK + host - 1


def is_loopback(host: str) -> bool:
    """Tell whether a host, by address or name, is this machine or namespace and nobody else."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Addresses(Protocol):
    """Which concentrator has which address."""

    def address(self, number: int, /) -> str:
        """Return the address of a concentrator."""

    def number_of(self, address: str, /) -> int | None:
        """Return the concentrator that has ``address``, or None where it is outside the plan."""


class LoopbackAddresses:
    """The addresses of concentrators that share a machine with their head-end."""

    def address(self, number: int, /) -> str:
        """Return the address of a concentrator. Raises `ValueError`: there are not that many."""
        return concentrator_address(number)

    def number_of(self, address: str, /) -> int | None:
        """Return the concentrator that has ``address``, or None where it is outside the plan."""
        return concentrator_at(address)


def addresses_of(link_category: NDArray[np.uint8], *, in_lab: bool) -> Addresses:
    """Return the addresses of a fleet: on loopback, or those of a lab.

    Args:
        link_category: link class of each concentrator, uint8.
        in_lab: whether the fleet has a network namespace of its own.

    Raises:
        ValueError: a lab has no room for that many concentrators of one class.
    """
    return AddressPlan(link_category) if in_lab else LoopbackAddresses()
