"""Where keys come from: a key file of a real fleet, or test keys from the seed.

A key file is JSON: ``{"MSC0000000000001": {"encryption_key": "<hex>", "authentication_key":
"<hex>", "secret": "<hex>"}, ...}``, by logical device name of the concentrator.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final, Protocol

from emulator.identity import KEY_OCTETS, seeded_test_keys
from protocols.plugin import Credentials

_FIELDS: Final = ("encryption_key", "authentication_key", "secret")


class KeyFileError(ValueError):
    """A key file that cannot be used; names the file and the device."""


class KeyRing(Protocol):
    """Knows the credentials of every concentrator."""

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
            system_title, keys.unicast_encryption_key, keys.authentication_key, keys.secret
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
        return Credentials(system_title, encryption, authentication, secret)


def key_ring(seed: int, path: Path | None) -> KeyRing:
    """Return the key ring of a run. Raises `KeyFileError`."""
    return SeededKeys(seed) if path is None else FileKeys(path)
