"""EAX' a message: a textbook implementation, ours with the key set up each time, and ours.

The messages are notifications of 70 meters with as many keys, in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from rich.console import Console
from rich.table import Table

from protocols.c12.eax_prime import MAC_SIZE, EaxPrime, for_key
from protocols.c12.epsem import SecurityMode
from protocols.c12.message import canonical_cleartext, encode_message, read_message
from protocols.c12.options import MESSAGE_OPTIONS
from protocols.c12.services import Dialect, OffsetWrite, encode_request
from tests.bench.c12 import textbook
from tests.bench.c12.fleet import KEYS, METERS, messages
from tests.bench.measuring import timed, times

SIZES: Final = (64, 128, 512)
BUDGET_S: Final = 0.4
TURNS: Final = 25
SERVICE_OVERHEAD: Final = len(encode_request(OffsetWrite(64, 0, b""), Dialect.C12_22))


@dataclass(frozen=True)
class Sealed:
    """One message as EAX' sees it; ``authentication`` is the MAC that leaves it readable."""

    key: bytes
    cleartext: bytes
    plaintext: bytes
    ciphertext: bytes
    mac: bytes
    authentication: bytes


def main(console: Console) -> None:
    """Print the figures."""
    table = Table(
        title=f"EAX', µs a message, {METERS} keys in turn, beside a textbook's",
        title_justify="left",
    )
    table.add_column("what")
    for heading in ("octets", "textbook", "key set up", "key kept", "times"):
        table.add_column(heading, justify="right")
    for size in SIZES:
        sample = sealed(size)
        check(sample)
        for what, ways in WAYS.items():
            spent, ratio = measured(ways, sample)
            table.add_row(what, f"{size}", *(f"{each:,.1f}" for each in spent), times(ratio))
    console.print(table)
    setting_up = timed("", lambda: [EaxPrime(key) for key in KEYS], METERS, BUDGET_S)
    console.print(f"setting a key up, once in its life: {1e6 / setting_up.rate:,.1f} µs")


def sealed(size: int) -> list[Sealed]:
    """Return a notification of each meter that writes, in a service of ``size`` octets."""
    data = bytes(number % 256 for number in range(size - SERVICE_OVERHEAD))
    services = [encode_request(OffsetWrite(64, 0, data), Dialect.C12_22)] * METERS
    assert {len(service) for service in services} == {size}
    return [
        one_sealed(encode_message(ciphered, key), encode_message(readable, key), key)
        for ciphered, readable, key in zip(
            messages(services, SecurityMode.CIPHERED),
            messages(services, SecurityMode.AUTHENTICATED),
            KEYS,
            strict=True,
        )
    ]


def one_sealed(ciphered: bytes, readable: bytes, key: bytes) -> Sealed:
    """Return the parts of a message, ciphered; in the other mode N differs, so it has a MAC too."""
    found = read_message(ciphered)
    assert found.header.authentication is not None
    cleartext = canonical_cleartext(
        ciphered, found.header, found.apdu.spans, found.header.authentication, MESSAGE_OPTIONS
    )
    content = found.apdu.information[1:]
    plaintext = read_message(readable).apdu.information[1:-MAC_SIZE]
    return Sealed(
        key,
        cleartext,
        plaintext,
        content[:-MAC_SIZE],
        content[-MAC_SIZE:],
        textbook.authenticate(key, cleartext, plaintext),
    )


def check(sample: Iterable[Sealed]) -> None:
    """Raise `AssertionError` unless both implementations make of messages what went out."""
    for it in sample:
        outcome = it.ciphertext, it.mac
        for cipher in (for_key(it.key), EaxPrime(it.key)):
            assert cipher.encrypt(it.cleartext, it.plaintext) == outcome
            assert cipher.decrypt(it.cleartext, it.ciphertext, it.mac) == it.plaintext
            assert cipher.authenticate(it.cleartext, it.plaintext) == it.authentication
        assert textbook.encrypt(it.key, it.cleartext, it.plaintext) == outcome
        assert textbook.decrypt(it.key, it.cleartext, it.ciphertext, it.mac) == it.plaintext


def measured(
    ways: Sequence[Callable[[Sealed], object]], sample: list[Sealed]
) -> tuple[list[float], float]:
    """Return the least microseconds a message takes each way, and how the first way compares.

    The ways take turns, and the last is compared with the first turn by turn (median), so that a
    slow moment of the machine does not fall on one of them.
    """
    spent = np.array(
        [
            [
                1e6 / timed("", partial(every, way, sample), len(sample), BUDGET_S / TURNS).rate
                for way in ways
            ]
            for _ in range(TURNS)
        ]
    )
    return spent.min(axis=0).tolist(), float(np.median(spent[:, 0] / spent[:, -1]))


def every(way: Callable[[Sealed], object], sample: list[Sealed]) -> None:
    """Go one way with every message."""
    for it in sample:
        way(it)


WAYS: Final[dict[str, tuple[Callable[[Sealed], object], ...]]] = {
    "encrypt and MAC": (
        lambda it: textbook.encrypt(it.key, it.cleartext, it.plaintext),
        lambda it: EaxPrime(it.key).encrypt(it.cleartext, it.plaintext),
        lambda it: for_key(it.key).encrypt(it.cleartext, it.plaintext),
    ),
    "verify and decrypt": (
        lambda it: textbook.decrypt(it.key, it.cleartext, it.ciphertext, it.mac),
        lambda it: EaxPrime(it.key).decrypt(it.cleartext, it.ciphertext, it.mac),
        lambda it: for_key(it.key).decrypt(it.cleartext, it.ciphertext, it.mac),
    ),
    "authenticate only": (
        lambda it: textbook.authenticate(it.key, it.cleartext, it.plaintext),
        lambda it: EaxPrime(it.key).authenticate(it.cleartext, it.plaintext),
        lambda it: for_key(it.key).authenticate(it.cleartext, it.plaintext),
    ),
}
