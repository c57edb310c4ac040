"""Messages of several packets: cut into packets to send, put together from packets received."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeAlias

from protocols.c12.psem.packet import OVERHEAD, Control, Packet


@dataclass(frozen=True, slots=True)
class Message:
    """A whole message from the peer: a request or a response."""

    octets: bytes


@dataclass(frozen=True, slots=True)
class OversizedMessage:
    """A message that was taken and thrown away packet by packet, for it was too large."""


Assembled: TypeAlias = Message | OversizedMessage


def split(message: bytes, packet_size: int) -> Iterator[tuple[bytes, int, Control]]:
    """Yield data, sequence number and control fields of each packet of ``message``."""
    size = packet_size - OVERHEAD
    chunks = [message[start : start + size] for start in range(0, max(len(message), 1), size)]
    for index, chunk in enumerate(chunks):
        multiple = len(chunks) > 1
        control = Control(multiple=multiple, first=multiple and index == 0)
        yield chunk, len(chunks) - 1 - index, control


class Assembly:
    """Puts the packets of one message after the other together; ``packets`` of them at most."""

    def __init__(self, packets: int) -> None:
        self._packets = packets
        self._parts: list[bytes] = []
        self._next: int | None = None
        self._oversized = False

    def continues(self, packet: Packet) -> bool:
        """Say whether ``packet`` may come now: it begins a message or is the next of one."""
        control = packet.control
        if not control.multiple:
            return packet.sequence == 0
        return control.first or packet.sequence == self._next

    @property
    def begun(self) -> bool:
        """Whether packets of a message are still to come."""
        return self._next is not None

    def add(self, packet: Packet) -> Assembled | None:
        """Take a ``packet`` that continues, and return the message that it completes."""
        if packet.control.first or not packet.control.multiple:
            self.clear()
            self._oversized = packet.sequence >= self._packets
        if not self._oversized:
            self._parts.append(packet.data)
        if packet.sequence:
            self._next = packet.sequence - 1
            return None
        return self._complete()

    def clear(self) -> None:
        """Forget what was begun."""
        self._parts.clear()
        self._next = None
        self._oversized = False

    def _complete(self) -> Assembled:
        whole = OversizedMessage() if self._oversized else Message(b"".join(self._parts))
        self.clear()
        return whole
