"""A relay and its meters, and what they push: the frames that are measured."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from typing import Final

import numpy as np

from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import Message
from protocols.c12.plugin import C12Options, C12Plugin
from protocols.c12.titles import head_end_title, meter_title
from protocols.plugin import Credentials
from protocols.readings import ReadingBatch

METERS: Final = 70
SCHEMA: Final = C12Options().schema
PERIOD_S: Final = SCHEMA.period_s
MIDNIGHT_S: Final = 1_700_006_400
VECTOR: Final = MIDNIGHT_S
PLUGIN: Final = C12Plugin()
RELAY_NAME: Final = b"MSC0000000000001"
RELAY: Final = PLUGIN.title_of(RELAY_NAME)
HEAD_END: Final = PLUGIN.title_of(b"MSH0000000000001")
NAMES: Final = tuple(b"MST%013d" % (number + 1) for number in range(METERS))
KEYS: Final = tuple((number + 1).to_bytes(16, "big") for number in range(METERS))


@lru_cache
def credentials() -> Credentials:
    """Return the relay's credentials with those of its meters; every key is another."""
    members = [
        Credentials(PLUGIN.title_of(name), key, b"", b"", name, (), RELAY)
        for name, key in zip(NAMES, KEYS, strict=True)
    ]
    return Credentials(RELAY, bytes(16), b"", b"", RELAY_NAME, members)


def readings(step: int, meters: int = METERS) -> ReadingBatch:
    """Return a capture of every meter; registers rise from step to step."""
    rises = np.random.Generator(np.random.Philox(7)).integers(1, 500, (meters, 4), np.uint32)
    return ReadingBatch(
        RELAY_NAME,
        np.array([b"MST%013d" % (number + 1) for number in range(meters)], "S16"),
        np.full(meters, MIDNIGHT_S + step * PERIOD_S, np.int64),
        np.zeros(meters, np.uint8),
        np.uint32(1_000_000) + rises * np.uint32(step),
    )


def header(meter: int, vector: int | None) -> Header:
    """Return the header of a meter's notification; without a vector it is in clear."""
    authentication = None if vector is None else AuthenticationValue(vector, meter % 255)
    return Header(
        head_end_title(0),
        meter_title(meter),
        (meter + 1).to_bytes(2, "big"),
        qualifier=AeQualifier.NOTIFICATION,
        authentication=authentication,
    )


def messages(services: Iterator[bytes] | list[bytes], mode: SecurityMode) -> list[Message]:
    """Return one notification of each meter, with one service each."""
    control = Control(mode, ResponseControl.ALWAYS)
    vector = None if mode is SecurityMode.CLEAR else VECTOR
    device_class = SCHEMA.configuration.device_class
    return [
        Message(header(meter, vector), Epsem((service,), control, device_class))
        for meter, service in enumerate(services)
    ]
