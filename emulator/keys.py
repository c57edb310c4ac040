"""Where keys come from: a key file of a real fleet, or test keys from the seed.

A key file is JSON: ``{"MSC0000000000001": {"encryption_key": "<hex>", "authentication_key":
"<hex>", "secret": "<hex>"}, ...}``, by logical device name of the concentrator
(of the meter, where meters are nodes of their own).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from emulator.identity import KEY_OCTETS, seeded_test_keys
from protocols.plugin import Credentials, ProtocolPlugin

_FIELDS: Final = ("encryption_key", "authentication_key", "secret")


class KeyFileError(ValueError):
    """A key file that cannot be used; names the file and the device."""


class KeyRing(Protocol):
    """Knows the credentials of every device."""

    def of(self, name: bytes, system_title: bytes) -> Credentials:
        """Return the credentials of the device with that logical device name.

        Raises:
            KeyFileError: its keys are not there.
        """


class SeededKeys:
    """Test keys: anybody who knows the seed knows them."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def of(self, name: bytes, system_title: bytes) -> Credentials:
        """Return the test credentials of a device."""
        keys = seeded_test_keys(self._seed, name)
        return Credentials(
            system_title, keys.unicast_encryption_key, keys.authentication_key, keys.secret, name
        )


class FileKeys:
    """The keys of a real fleet, read once."""

    def __init__(self, path: Path) -> None:
        try:
            self._keys: dict[str, dict[str, str]] = json.loads(path.read_text())
        except (OSError, ValueError) as error:
            raise KeyFileError(f"{path}: {error}") from error
        if not isinstance(self._keys, dict):
            raise KeyFileError(f"{path}: not a JSON object of devices")
        self._path = path

    def of(self, name: bytes, system_title: bytes) -> Credentials:
        """Return the credentials of a device. Raises `KeyFileError`."""
        try:
            encryption, authentication, secret = (
                bytes.fromhex(self._keys[name.decode("ascii", "replace")][field])
                for field in _FIELDS
            )
        except (KeyError, TypeError, ValueError) as error:
            raise KeyFileError(f"{self._path}: no usable keys of {name!r}: {error!r}") from None
        if len(encryption) != KEY_OCTETS or len(authentication) != KEY_OCTETS:
            raise KeyFileError(f"{self._path}: keys of {name!r} must have {KEY_OCTETS} octets")
        return Credentials(system_title, encryption, authentication, secret, name)


def key_ring(seed: int, path: Path | None) -> KeyRing:
    """Return the key ring of a run. Raises `KeyFileError`."""
    return SeededKeys(seed) if path is None else FileKeys(path)


class MemberKeys:
    """The credentials of the meters behind one concentrator, looked up once each.

    Args:
        keys: where they are.
        plugin: tells what meters are called on the wire.
        names: the meters' device names (S16), in order.
        behind: what their concentrator is called on the wire.
    """

    def __init__(
        self, keys: KeyRing, plugin: ProtocolPlugin, names: NDArray[np.bytes_], behind: bytes
    ) -> None:
        self._keys = keys
        self._behind = behind
        self._plugin = plugin
        self._names: list[bytes] = names.tolist()
        self._known: dict[int, Credentials] = {}

    def __len__(self) -> int:
        """The number of meters."""
        return len(self._names)

    def __getitem__(self, meter: int, /) -> Credentials:
        """Return a meter's credentials. Raises `IndexError` or `KeyFileError`."""
        if meter not in self._known:
            name = self._names[meter]
            known = self._keys.of(name, self._plugin.title_of(name))
            self._known[meter] = replace(known, behind=self._behind)
        return self._known[meter]

    def __iter__(self) -> Iterator[Credentials]:
        """Go through them in order."""
        return (self[meter] for meter in range(len(self)))


def with_members(
    keys: KeyRing, plugin: ProtocolPlugin, name: bytes, meters: NDArray[np.bytes_]
) -> Credentials:
    """Return a concentrator's credentials, with its meters' where these are nodes of their own.

    Args:
        keys: where they are.
        plugin: the protocol that the concentrator speaks.
        name: its device name.
        meters: its meters' device names (S16), in order.

    Raises:
        KeyFileError: its keys are not there.
    """
    own = keys.of(name, plugin.title_of(name))
    if not plugin.has_nodes:
        return own
    return replace(own, members=MemberKeys(keys, plugin, meters, own.system_title))
