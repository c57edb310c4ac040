"""Which packets go to which queue, as numbers: the handles of a tree, planned before it is built.

The concentrators of a link class are apart if something of the profile has a memory that they must
not share: a rate, a packet rate, bursts of loss, the order of packets; or if the plan wants to
change some of them later. Where TCP may burst further than the rest, the rest of a link class has
a tree of its own, as long as the handles of the interface (65,535) go round.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from netem.addresses import AddressPlan
from netem.lab import Direction, LabError, LabPlan
from netem.profiles import GilbertElliottLoss, LinkDirection, LinkProfile

ROOT: Final = 1 << 16
"""Handle of the root discipline."""
UNCLASSIFIED: Final = ROOT | 0xFFF0
"""The class of what no link class claims."""
REST: Final = 0x100
"""Added to the minor of a link class for the part of it that is not TCP."""
MOST_HANDLES: Final = 0xFFFE
_BLOCK_BITS: Final = 8
_IN_BLOCK: Final = (1 << _BLOCK_BITS) - 1


@dataclass(frozen=True, slots=True)
class Branch:
    """Where the packets of one link class go, or those of one kind of it.

    Handles are major numbers, consecutive from ``first`` on. Where concentrators are apart: the HTB
    below the link class's class, the HTBs below that, one for each block of 256 addresses, and
    the leaves in order of `AddressPlan.index_in_class`. Else the one leaf that they share.
    """

    category: int
    minor: int
    first: int
    leaves: int
    is_apart: bool
    only_tcp: bool
    is_rest: bool

    @property
    def blocks(self) -> int:
        """How many blocks there are; the k-th concentrator has the lower half k + 1."""
        return (self.leaves >> _BLOCK_BITS) + 1 if self.is_apart else 0

    @property
    def end(self) -> int:
        """First handle after those of this branch."""
        return self.first + self.is_apart + self.blocks + self.leaves

    @property
    def top(self) -> int:
        """The link class's class, which everything of this branch is below."""
        return ROOT | self.minor

    def block_places(self) -> Iterator[tuple[int, int]]:
        """Yield the HTB of each block, and the class that it is below."""
        for block in range(self.blocks):
            yield (self.first + 1 + block) << 16, (self.first << 16) | (block + 1)

    def places(self, indices: Iterable[int]) -> Iterator[tuple[int, int, int]]:
        """Yield index in class, leaf, and the class that it is below."""
        first_leaf = self.first + self.is_apart + self.blocks
        if not self.is_apart:
            yield 0, first_leaf << 16, self.top
            return
        for index in indices:
            lower = index + 1
            block = (self.first + 1 + (lower >> _BLOCK_BITS)) << 16
            # A flow filter counts from minor 1.
            yield index, (first_leaf + index) << 16, block | ((lower & _IN_BLOCK) + 1)


@dataclass(frozen=True, slots=True)
class Applied:
    """How the profiles of a lab are applied in one direction."""

    direction: Direction
    in_order: bool
    shaped: bool

    def part(self, profile: LinkProfile) -> LinkDirection:
        """Return the part of ``profile`` that is about this direction."""
        return profile.way(self.direction)

    def needs_apart(self, profile: LinkProfile) -> bool:
        """Return whether concentrators on such a link cannot share one leaf."""
        link = self.part(profile)
        return (
            link.rate is not None
            or (self.shaped and link.packet_rate is not None)
            or isinstance(link.loss, GilbertElliottLoss)
            or (self.in_order and link.jitter > 0)
        )

    def parts_tcp(self, profile: LinkProfile) -> bool:
        """Return whether TCP is shaped otherwise than the rest."""
        limit = self.part(profile).packet_rate
        return self.shaped and limit is not None and limit.burst != limit.burst_other


def planned(
    plan: LabPlan, addresses: AddressPlan, applied: Applied
) -> tuple[Sequence[Branch], Sequence[str]]:
    """Return the branches of a tree, and in words what had to be left out.

    Raises:
        LabError: the interface has fewer handles than are needed.
    """
    branches = _planned(plan, addresses, applied, apart_rest=True)
    if _end(branches) <= MOST_HANDLES:
        return branches, ()
    branches = _planned(plan, addresses, applied, apart_rest=False)
    if _end(branches) <= MOST_HANDLES:
        return branches, (
            f"too many concentrators to tell TCP from the rest ({applied.direction}): every packet"
            " has the burst of TCP",
        )
    raise LabError(
        f"{_end(branches):,} queues are needed and an interface has {MOST_HANDLES:,}",
        "use fewer concentrators, or links that a class can share",
    )


def _planned(
    plan: LabPlan, addresses: AddressPlan, applied: Applied, *, apart_rest: bool
) -> Sequence[Branch]:
    branches: list[Branch] = []
    for category, profile in enumerate(plan.profiles):
        size = addresses.size_of(category)
        if not size:
            continue
        apart = plan.individually or applied.needs_apart(profile)
        parted = apart_rest and applied.parts_tcp(profile)
        for is_rest in (False, True) if parted else (False,):
            branches.append(
                Branch(
                    category=category,
                    minor=category + 1 + (REST if is_rest else 0),
                    first=_end(branches),
                    leaves=size if apart else 1,
                    is_apart=apart,
                    only_tcp=parted and not is_rest,
                    is_rest=is_rest,
                )
            )
    return branches


def _end(branches: Sequence[Branch]) -> int:
    return branches[-1].end if branches else 2
