"""One push and its confirmation, as octets: what most tests want of a `PushSession`."""

from __future__ import annotations

from protocols.plugin import PushSession
from protocols.readings import ReadingBatch


def pushed(session: PushSession, readings: ReadingBatch, number: int) -> bytes:
    """Begin a push; return the octets that it sends at once."""
    session.push(readings, number, now=0.0)
    return session.data_to_send()


def confirmed(session: PushSession, octets: bytes) -> list[int]:
    """Give a session octets of the head-end; return the pushes that they confirm."""
    session.receive_data(octets, now=0.0)
    return list(session.confirmed())
