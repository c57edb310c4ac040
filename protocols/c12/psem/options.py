"""What the link does where the standards leave a choice, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.psem.packet import MAX_PACKET_SIZE, MIN_PACKET_SIZE, OVERHEAD
from protocols.c12.services import TimingSetup, TimingSetupBody
from protocols.errors import LocalProtocolError


@dataclass(frozen=True, slots=True)
class Timing:
    """The times of a session in seconds, and how often a packet is sent again.

    ``response_s`` is the wait for an acknowledgement, ``inter_character_s`` the longest silence
    inside a packet, ``traffic_s`` the longest silence between packets before the session ends.
    """

    traffic_s: float = 6.0
    inter_character_s: float = 0.5
    response_s: float = 2.0
    retries: int = 3

    def changed(self, setup: TimingSetup | TimingSetupBody) -> Timing:
        """Return the timing that ``setup`` asks for; a time of 0 stays what it is."""
        return Timing(
            traffic_s=setup.traffic_s or self.traffic_s,
            inter_character_s=setup.inter_character_s or self.inter_character_s,
            response_s=setup.response_s or self.response_s,
            retries=setup.retries,
        )


@dataclass(frozen=True, slots=True)
class LinkOptions:
    """One side of a link.

    * ``packet_size`` (64 to 8191 octets) and ``packets`` (1 to 255) are what this side takes and
      offers; until Negotiate it sends 64 octets in one packet, as the standard's default is.
    * ``identity`` is the octet behind the start octet. ``check_identity`` ignores packets with
      another one: C12.21 addresses meters behind one modem by it, C12.18 calls it reserved.
    * ``data_format`` (0, or 1 on the local port of C12.22) is sent; another one gets a NAK.
    * ``transparency`` sends packets made transparent, with acknowledgements inside packets, and
      understands both; without it bit 4 of the control octet means nothing.
    * ``take_wrong_toggle`` takes a packet that is new by its CRC and old by its toggle bit. The
      standard calls a packet repeated when toggle bit *and* CRC are those of the one before, so
      this is the default; some clients in the field throw such packets away.
    """

    timing: Timing = Timing()
    packet_size: int = 1024
    packets: int = 16
    identity: int = 0
    check_identity: bool = False
    data_format: int = 0
    transparency: bool = False
    take_wrong_toggle: bool = True

    def __post_init__(self) -> None:
        if not MIN_PACKET_SIZE <= self.packet_size <= MAX_PACKET_SIZE:
            raise LocalProtocolError(f"packets of {self.packet_size} octets")
        if not 1 <= self.packets <= 255:
            raise LocalProtocolError(f"messages of {self.packets} packets")

    @property
    def capacity(self) -> int:
        """How many octets a message may have that this side takes."""
        return (self.packet_size - OVERHEAD) * self.packets


C12_18: Final = LinkOptions()
"""Optical port: acknowledgement within 2 s, traffic within 6 s."""

C12_21: Final = LinkOptions(Timing(30.0, 1.0, 4.0, 3), check_identity=True)
"""Modem: acknowledgement within 4 s, traffic within 30 s, one meter of several addressed."""
