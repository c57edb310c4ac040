"""The C12.18 data link: whole messages over a line that loses, doubles and changes octets.

Theory of operation
-------------------
Both roles are alike. A message is sent packet by packet, each one again and again until it is
acknowledged, until the retries are used up (`LinkFailed`). A packet received is acknowledged when
its CRC is right and it continues its message, and answered with a NAK when not. A packet with
the toggle bit and the CRC of the one before is that one: its ACK was lost, so it gets another one
and goes no further. So each message arrives once or not at all.

A new packet from the peer stands for the ACK that this side still waits for: who answers has heard,
and who asks for something else has given up.

The ACK has no number. An ACK that the line doubled may be taken for the next packet's; then that
packet is lost and whoever waits for its answer notices by the clock. What arrives is right in any
case.

The caller feeds octets and the time, sends what `data_to_send` gives, and takes events::

    link.send(message, now)
    link.receive_data(data, now)
    while event := link.next_event(): ...
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, replace
from typing import TypeAlias

from protocols.c12.psem.assembly import Assembly, Message, OversizedMessage, split
from protocols.c12.psem.faults import Fault
from protocols.c12.psem.options import LinkOptions
from protocols.c12.psem.packet import (
    ACK,
    MIN_PACKET_SIZE,
    NAK,
    OVERHEAD,
    Acknowledgement,
    Control,
    Packet,
)
from protocols.c12.psem.reader import Flaw, Mark, PacketReader, Token
from protocols.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class LinkFailed:
    """A packet was never acknowledged: what it belonged to is not sent."""


LinkEvent: TypeAlias = Message | OversizedMessage | LinkFailed


class Link:
    """Sans-IO data link, one end. Times are seconds of any monotonic clock."""

    def __init__(self, options: LinkOptions, faults: Counter[Fault]) -> None:
        self.timing = options.timing
        self.heard: float | None = None
        """When the last packet or acknowledgement came."""

        self._options = options
        self._faults = faults
        self._reader = PacketReader(
            max_packet_size=options.packet_size, transparency=options.transparency
        )
        self._assembly = Assembly(options.packets)
        self._events: deque[LinkEvent] = deque()
        self._outgoing = bytearray()
        self._queue: deque[bytes] = deque()
        self._sent = 0
        self._toggle = False
        self._last: Packet | None = None
        self._acknowledgement_deadline: float | None = None
        self._silence_deadline: float | None = None
        self._packet_size, self._packets = MIN_PACKET_SIZE, 1

    @property
    def capacity(self) -> int:
        """How many octets a message may have to be sent, as negotiated."""
        return (self._packet_size - OVERHEAD) * self._packets

    @property
    def sending(self) -> bool:
        """Whether a message is not acknowledged to its end."""
        return bool(self._queue)

    @property
    def deadline(self) -> float | None:
        """When `handle_deadline` wants to be called."""
        deadlines = (self._acknowledgement_deadline, self._silence_deadline)
        return min((at for at in deadlines if at is not None), default=None)

    def negotiated(self, packet_size: int, packets: int) -> None:
        """Send messages of up to ``packets`` packets of ``packet_size`` octets from now on."""
        self._packet_size, self._packets = packet_size, packets

    def restore_defaults(self) -> None:
        """Go back to the sizes and times that hold before Negotiate and Timing setup."""
        self.timing = self._options.timing
        self.negotiated(MIN_PACKET_SIZE, 1)

    def forget(self) -> None:
        """After a silence: defaults, nothing half sent or received, any toggle bit may come."""
        self.restore_defaults()
        self._last = None
        self._assembly.clear()
        self.abandon()

    def send(self, message: bytes, now: float) -> None:
        """Send ``message``; `LocalProtocolError` while another one is sent or over `capacity`."""
        if self._queue:
            raise LocalProtocolError("the message before is not acknowledged")
        if len(message) > self.capacity:
            raise LocalProtocolError(f"{len(message)} octets in a link for {self.capacity}")
        for data, sequence, control in split(message, self._packet_size):
            self._queue.append(self._packet(data, sequence, control))
        self._transmit(now)

    def abandon(self) -> None:
        """Stop sending what is not acknowledged yet."""
        self._queue.clear()
        self._sent = 0
        self._acknowledgement_deadline = None

    def receive_data(self, data: bytes, now: float) -> None:
        """Take octets from the line, in any split. Never raises for what they hold."""
        self._reader.feed(data)
        self._take_tokens(now)

    def data_to_send(self) -> bytes:
        """Return octets for the line, once."""
        data = bytes(self._outgoing)
        self._outgoing.clear()
        return data

    def next_event(self) -> LinkEvent | None:
        """Return the next thing that happened, or ``None``."""
        return self._events.popleft() if self._events else None

    def handle_deadline(self, now: float) -> None:
        """Tell the link the time; does nothing before `deadline`."""
        if self._silence_deadline is not None and now >= self._silence_deadline:
            self._reader.silence()
            self._take_tokens(now)
        if self._acknowledgement_deadline is not None and now >= self._acknowledgement_deadline:
            self._faults[Fault.ACKNOWLEDGEMENT_TIMEOUT] += 1
            self._again(now)

    def _take_tokens(self, now: float) -> None:
        while (token := self._reader.next_token()) is not None:
            self._take(token, now)
        waits = self._reader.waiting
        self._silence_deadline = now + self.timing.inter_character_s if waits else None

    def _take(self, token: Token, now: float) -> None:
        match token:
            case Flaw(fault, answerable):
                self._faults[fault] += 1
                if answerable and fault is not Fault.GARBAGE:
                    self._answer(Acknowledgement.NEGATIVE)
            case Mark.ACK:
                self._acknowledged(now)
            case Mark.NAK:
                self._not_acknowledged(now)
            case Packet():
                self._take_packet(token, now)

    # What we send.

    def _packet(self, data: bytes, sequence: int, control: Control) -> bytes:
        control = replace(
            control,
            toggle=self._toggle,
            transparent=self._options.transparency,
            data_format=self._options.data_format,
        )
        self._toggle = not self._toggle
        return Packet(data, control, sequence, self._options.identity).encode()

    def _transmit(self, now: float) -> None:
        self._outgoing += self._queue[0]
        self._sent += 1
        self._acknowledgement_deadline = now + self.timing.response_s

    def _again(self, now: float) -> None:
        if self._sent <= self.timing.retries:
            self._transmit(now)
            return
        self._faults[Fault.LINK_FAILED] += 1
        self.abandon()
        self._events.append(LinkFailed())

    def _acknowledged(self, now: float) -> None:
        if not self._queue:
            self._faults[Fault.STRAY_ACKNOWLEDGEMENT] += 1
            return
        self.heard = now
        self._queue.popleft()
        self._sent = 0
        self._acknowledgement_deadline = None
        if self._queue:
            self._transmit(now)

    def _not_acknowledged(self, now: float) -> None:
        if not self._queue:
            self._faults[Fault.STRAY_ACKNOWLEDGEMENT] += 1
            return
        self.heard = now
        self._faults[Fault.NOT_ACKNOWLEDGED] += 1
        self._again(now)

    # What we receive.

    def _take_packet(self, packet: Packet, now: float) -> None:
        if self._options.check_identity and packet.identity != self._options.identity:
            self._faults[Fault.FOREIGN_IDENTITY] += 1
            return
        self.heard = now
        if self._options.transparency and self._take_acknowledgement(packet, now):
            return
        if packet.control.data_format != self._options.data_format:
            self._refuse(Fault.WRONG_FORMAT)
        elif not self._repeated(packet):
            self._take_new(packet)

    def _take_acknowledgement(self, packet: Packet, now: float) -> bool:
        """Take what the packet says of ours, and say whether it says nothing else."""
        match packet.control.acknowledgement:
            case Acknowledgement.POSITIVE:
                self._acknowledged(now)
            case Acknowledgement.NEGATIVE:
                self._not_acknowledged(now)
            case _:
                return False
        return not packet.data

    def _repeated(self, packet: Packet) -> bool:
        """Deal with a packet whose toggle bit is that of the one before; say whether it is done."""
        last = self._last
        if last is None or last.control.toggle != packet.control.toggle:
            return False
        if last.crc == packet.crc:
            self._faults[Fault.DUPLICATE] += 1
            self._answer_packet(packet)
            return True
        self._faults[Fault.WRONG_TOGGLE] += 1
        return not self._options.take_wrong_toggle

    def _take_new(self, packet: Packet) -> None:
        if not self._assembly.continues(packet):
            self._refuse(Fault.WRONG_SEQUENCE)
            return
        self._last = packet
        self._answer_packet(packet)
        if not packet.data and not packet.control.multiple:
            return  # An empty packet keeps the link alive and says nothing.
        # Who sends something new has heard what we sent, or has given it up.
        self.abandon()
        if self._assembly.begun and (packet.control.first or not packet.control.multiple):
            self._faults[Fault.INTERRUPTED_MESSAGE] += 1
        whole = self._assembly.add(packet)
        if isinstance(whole, OversizedMessage):
            self._faults[Fault.OVERSIZED_MESSAGE] += 1
        if whole is not None:
            self._events.append(whole)

    def _refuse(self, fault: Fault) -> None:
        self._faults[fault] += 1
        self._answer(Acknowledgement.NEGATIVE)

    def _answer_packet(self, packet: Packet) -> None:
        if packet.control.acknowledgement is not Acknowledgement.UNACKNOWLEDGED:
            self._answer(Acknowledgement.POSITIVE)

    def _answer(self, answer: Acknowledgement) -> None:
        if not self._options.transparency:
            self._outgoing.append(ACK if answer is Acknowledgement.POSITIVE else NAK)
            return
        control = Control(
            transparent=True, acknowledgement=answer, data_format=self._options.data_format
        )
        self._outgoing += Packet(b"", control, 0, self._options.identity).encode()
