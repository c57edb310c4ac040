"""What a lab is: two network namespaces with the links of a run between them.

The tiers that carry real IP packets open one: `netem.kernel.open_kernel_lab` and
`netem.packet.open_packet_lab`. The *head-end side* is the namespace the caller is in; head-end,
store, load driver and monitoring are there. Fleet shards live on the *fleet side*, a namespace
of their own that they enter first thing (`netem.namespaces.enter`). Control goes over Unix
sockets and pipes, which do not care about namespaces, so it never crosses a link of the lab.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from netem.addresses import AddressPlan
from netem.profiles import Direction as Direction
from netem.profiles import LinkOptions, LinkProfile

FAULTS: Final[Mapping[str, str]] = {
    "missed": "frames were not read in time and are lost",
    "oversize": "frames were longer than the link's mtu and are lost",
    "unfinished": "frames left their checksum to hardware and were not accepted",
    "refused": "frames were not taken by the kernel and are lost",
    "flows_forgotten": "connections got a burst that was not due, for there were too many",
}
"""What a lab may do otherwise than its links were set, and what that means."""


class LabError(Exception):
    """A lab cannot be had or changed; says why and what mends it."""

    def __init__(self, reason: str, mend: str) -> None:
        self.reason = reason
        self.mend = mend
        super().__init__(f"{reason}; {mend}")


@dataclass(frozen=True, slots=True)
class LabPlan:
    """What a lab is to be.

    Attributes:
        profiles: profile of each link class, in order of the grid's link categories, already read
            with `LinkProfile.each_way`.
        category: link class of each concentrator, uint8, in order of number.
        options: how the profiles are to be applied; of these, ``order`` and ``limit`` count here.
        seed: of all draws of the lab, where the tier has seeded draws.
        individually: whether concentrators of one class may be changed apart from the others;
            without it, a tier may let the concentrators of a class share what need not be apart.
    """

    profiles: tuple[LinkProfile, ...]
    category: NDArray[np.uint8]
    options: LinkOptions
    seed: int
    individually: bool = True


@dataclass(frozen=True, slots=True)
class DirectionCounters:
    """One direction of one link class since the lab was opened; None: the tier cannot tell.

    Attributes:
        packets: packets that came through.
        octets: their octets, Ethernet headers (14 each) included.
        lost: packets dropped by the loss law, overflow included where ``overflowed`` is None.
        limited: packets dropped by the packet limit as a policer; 0 where there is none.
        overflowed: packets dropped because a queue was full.
        backlog: packets under way now.
    """

    packets: int
    octets: int
    lost: int | None
    limited: int | None
    overflowed: int | None
    backlog: int


@dataclass(frozen=True, slots=True)
class ConnectionTracking:
    """Connection tracking of one namespace. A rise in the drops means that the run is spoilt."""

    count: int
    max: int
    drop: int
    early_drop: int
    insert_failed: int

    @property
    def dropped(self) -> int:
        """Packets or connections that connection tracking has dropped."""
        return self.drop + self.early_drop + self.insert_failed


@dataclass(frozen=True, slots=True)
class ListenDrops:
    """Connections that a full accept queue has cost, of one namespace (TcpExt of netstat)."""

    overflows: int
    drops: int
    request_queue_full: int


@dataclass(frozen=True, slots=True)
class LabCounters:
    """Everything a lab counts, at one moment.

    Attributes:
        links: by link class and direction.
        unclassified: packets that no link class claimed; anything above 0 is our fault.
        tracking: connection tracking by side (``head-end``, ``fleet``, and ``router`` where the
            tier has one); a side without connection tracking is left out.
        listening: full accept queues by side (``head-end``, ``fleet``).
        faults: how often each of `FAULTS` has happened; a tier that cannot commit one leaves it
            out. Anything above 0 means that the links were not what they were set to.
    """

    links: Mapping[tuple[int, Direction], DirectionCounters]
    unclassified: int
    tracking: Mapping[str, ConnectionTracking]
    listening: Mapping[str, ListenDrops]
    faults: Mapping[str, int] = field(default_factory=dict)


class Lab(Protocol):
    """An open lab."""

    @property
    def head_end_address(self) -> str:
        """What head-ends listen on, and what is dialled."""
        ...

    @property
    def fleet_namespace(self) -> str:
        """Path for `netem.namespaces.enter`, good as long as the lab is open."""
        ...

    @property
    def addresses(self) -> AddressPlan:
        """Who has which address."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Where the tier does otherwise than was asked, a sentence each."""
        ...

    async def change(
        self, category: int, profile: LinkProfile, numbers: Sequence[int] | None = None
    ) -> None:
        """Let a link class, or these concentrators of it, behave as ``profile`` from now on.

        What is under way stays under way. A loss of 100 % is an outage. A cancelled change may
        have been made for some of the concentrators; the next one mends that.

        Raises:
            LabError: the tier cannot do this, or the change is of a kind that the lab was not
                opened for.
        """
        ...

    async def counters(self) -> LabCounters:
        """Return what has been counted so far."""
        ...
