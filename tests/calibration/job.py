"""What is measured, and what came of it: the same shapes for every tier."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Literal

from netem.profiles import LinkOptions, LinkProfile, load_profiles

Tier = Literal["model", "packet", "kernel"]
Order = Literal["link", "netem"]
SIZES: Final = (300, 3_000, 20_000)
"""Octets that a client sends up."""
ANSWER_OCTETS: Final = 100
"""Octets that it gets back."""
CONNECT: Final = "connect"
QUANTITIES: Final = (CONNECT, *(str(octets) for octets in SIZES))
"""What is timed: the connect of every exchange, and the exchange by its size."""


@dataclass(frozen=True, slots=True)
class Job:
    """One run of one tier.

    Attributes:
        tier: what brings the links about.
        order: see `LinkOptions`.
        profiles: names, each a link class with ``clients`` clients of its own.
        profiles_path: a file of profiles beside the built-in ones.
        clients: of each profile; each makes one exchange of each size.
        interval_s: from the start of one client to the start of the next of that profile.
        seed: of the draws, where the tier has seeded draws.
    """

    tier: Tier
    order: Order
    profiles: tuple[str, ...]
    profiles_path: str | None
    clients: int
    interval_s: float
    seed: int

    @property
    def options(self) -> LinkOptions:
        return LinkOptions(order=self.order)

    @property
    def length_s(self) -> float:
        """How long it takes from the first client to the last of the last size."""
        return self.clients * self.interval_s * len(SIZES)

    def links(self) -> tuple[LinkProfile, ...]:
        """Return the profiles, each way; one burst for TCP and the rest, for all here is TCP."""
        extra = None if self.profiles_path is None else Path(self.profiles_path)
        known = load_profiles(extra)
        return tuple(_only_tcp(known[name].each_way(self.options)) for name in self.profiles)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Job:
        found = json.loads(path.read_text(encoding="utf-8"))
        return cls(**found | {"profiles": tuple(found["profiles"])})


@dataclass(slots=True)
class Sample:
    """The times of one profile.

    Attributes:
        times_s: by quantity, see `QUANTITIES`; of the exchanges that were finished.
        retransmitted: segments that a client sent again, in all exchanges of a size.
        unfinished: exchanges that were not finished in time.
    """

    times_s: dict[str, list[float]] = field(
        default_factory=lambda: {quantity: [] for quantity in QUANTITIES}
    )
    retransmitted: dict[str, int] = field(
        default_factory=lambda: {str(octets): 0 for octets in SIZES}
    )
    unfinished: int = 0

    def add(self, octets: int, connect_s: float, exchange_s: float, retransmitted: int) -> None:
        self.times_s[CONNECT].append(connect_s)
        self.times_s[str(octets)].append(exchange_s)
        self.retransmitted[str(octets)] += retransmitted

    def merge(self, other: Sample) -> None:
        for quantity, times_s in other.times_s.items():
            self.times_s[quantity] += times_s
        for octets, count in other.retransmitted.items():
            self.retransmitted[octets] += count
        self.unfinished += other.unfinished


@dataclass(slots=True)
class Outcome:
    """What a job measured: a sample for each profile, and what the lab has to say of itself."""

    samples: dict[str, Sample]
    notes: list[str] = field(default_factory=list)

    def write(self, path: Path) -> None:
        path.write_text(json.dumps(asdict(self)), encoding="utf-8")

    @classmethod
    def read(cls, path: Path) -> Outcome:
        found = json.loads(path.read_text(encoding="utf-8"))
        samples = {name: Sample(**sample) for name, sample in found["samples"].items()}
        return cls(samples, found["notes"])


def _only_tcp(profile: LinkProfile) -> LinkProfile:
    """Spare the kernel tier the second tree that it has for what is not TCP."""
    ways = {}
    for name, way in (("up", profile.up), ("down", profile.down)):
        limit = way.packet_rate
        if limit is not None:
            limit = limit.model_copy(update={"burst_other": limit.burst})
        ways[name] = way.model_copy(update={"packet_rate": limit})
    return profile.model_copy(update=ways)
