"""What a link was set to do beside what was drawn for its packets."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from netem.model.delay import DelayLaw, delay_law
from netem.profiles import LinkDirection, LinkProfile
from netem.shared_medium import Media

MICROSECOND_NS: Final = 1_000
WIDE: Final = ("delay_square_sum_us2", "set_delay_square_sum_us2")
"""Counts that outgrow 64 bits."""
NESTED: Final = ("up", "down", "media")


@dataclass(slots=True)
class DirectionStatistics:
    """Counts of one direction over all connections of a profile; sums, so that they merge."""

    packets: int = 0
    """Packets carried: data, acknowledgements, handshakes; not the lost ones."""
    delays: int = 0
    """Delays drawn, each by itself; fewer than packets where a link in order keeps one."""
    lost: int = 0
    policed: int = 0
    """Packets dropped by a packet rate that polices."""
    overflowed: int = 0
    """Packets dropped because the queue of a shared or traced capacity was full."""
    waited: int = 0
    """Packets that waited for the packet rate, the bit rate or the shared medium."""
    transfers: int = 0
    octets: int = 0
    segments: int = 0
    retransmitted: int = 0
    spurious: int = 0
    """Retransmissions of segments that had not been lost."""
    delay_sum_us: int = 0
    delay_square_sum_us2: int = 0
    set_loss_sum_ppm: int = 0
    """What the laws of the packets so far would have lost of a million of each, added up."""
    set_loss_variance_ppm: int = 0
    """What the laws so far give as the variance of the number lost, in millionths."""
    set_delay_sum_us: int = 0
    """Sum of the means of the laws that the delays were drawn from."""
    set_delay_square_sum_us2: int = 0

    def expect_delay(self, law: DelayLaw) -> None:
        """Count that a delay is drawn from ``law``."""
        self.set_delay_sum_us += law.mean_us
        self.set_delay_square_sum_us2 += law.square_mean_us2

    def record_delay(self, delay_ns: int) -> None:
        """Count one drawn delay."""
        delay_us = delay_ns // MICROSECOND_NS
        self.delays += 1
        self.delay_sum_us += delay_us
        self.delay_square_sum_us2 += delay_us * delay_us

    def merge(self, other: DirectionStatistics) -> None:
        """Add the counts of ``other``."""
        for item in fields(self):
            setattr(self, item.name, getattr(self, item.name) + getattr(other, item.name))

    @property
    def mean_s(self) -> float:
        """Mean of the drawn delays, 0 where none was drawn."""
        return self.delay_sum_us / self.delays / 1e6 if self.delays else 0.0

    @property
    def sigma_s(self) -> float:
        """Standard deviation of the drawn delays, 0 where none was drawn."""
        return _sigma_s(self.delays, self.delay_sum_us, self.delay_square_sum_us2)

    @property
    def loss_share(self) -> float:
        """Share of the packets that were drawn lost."""
        offered = self.packets + self.lost
        return self.lost / offered if offered else 0.0


def _sigma_s(count: int, sum_us: int, square_sum_us2: int) -> float:
    if not count:
        return 0.0
    return float(max(0, count * square_sum_us2 - sum_us**2) ** 0.5 / count / 1e6)


@dataclass(slots=True)
class LinkStatistics:
    """Both directions of one profile."""

    profile: str
    up: DirectionStatistics = field(default_factory=DirectionStatistics)
    down: DirectionStatistics = field(default_factory=DirectionStatistics)
    connections: int = 0
    connections_timed_out: int = 0
    syn_retransmitted: int = 0
    changes: int = 0
    """How often a connection's link became another in mid-connection."""
    media: Media = field(default_factory=Media)
    """What connections of this profile share: cells and traces, and what they carried."""

    def merge(self, other: LinkStatistics) -> None:
        """Add the counts of ``other``, which may come from another process."""
        self.up.merge(other.up)
        self.down.merge(other.down)
        self.connections += other.connections
        self.connections_timed_out += other.connections_timed_out
        self.syn_retransmitted += other.syn_retransmitted
        self.changes += other.changes
        self.media.merge(other.media)

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for msgpack or JSON; integers too wide for msgpack become text."""
        values = {
            item.name: getattr(self, item.name) for item in fields(self) if item.name not in NESTED
        }
        for direction in ("up", "down"):
            values[direction] = asdict(getattr(self, direction))
            for name in WIDE:
                values[direction][name] = str(values[direction][name])
        values["media"] = self.media.as_dict()
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `as_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: ``values`` is not from `as_dict`.
        """
        directions = {
            direction: DirectionStatistics(
                **values[direction] | {name: int(values[direction].get(name, 0)) for name in WIDE}
            )
            for direction in ("up", "down")
        }
        media = Media.from_dict(values.get("media", {}))
        return cls(**values | directions | {"media": media})


def set_and_drawn(profile: LinkProfile, statistics: LinkStatistics) -> dict[str, dict[str, Any]]:
    """Return what was set beside what was drawn, for each direction, delays in seconds.

    ``profile`` is the one `LinkProfile.each_way` made. The deviation and mean set are those of the
    law cut at zero, which is what a packet can really meet. Where links became others, what was
    set is the mixture of the laws that the draws were made from, and ``changed`` is true.
    ``error`` is the standard error that chance gives the share lost, bursts taken into account.
    """
    return {
        "up": _compared(profile.up, statistics.up),
        "down": _compared(profile.down, statistics.down),
    }


def _compared(direction: LinkDirection, drawn: DirectionStatistics) -> dict[str, Any]:
    changed = _other_laws(direction, drawn)
    figures = _set_in_turn(drawn) if changed else _set_at_once(direction)
    return {
        "delay_mean_s": {"set": figures.mean_s, "drawn": drawn.mean_s},
        "delay_sigma_s": {"set": figures.sigma_s, "drawn": drawn.sigma_s},
        "loss_share": {
            "set": figures.loss_share,
            "drawn": drawn.loss_share,
            "error": math.sqrt(figures.loss_variance / max(1, drawn.packets + drawn.lost)),
        },
        "packets": drawn.packets,
        "delays": drawn.delays,
        "changed": changed,
    }


def _other_laws(direction: LinkDirection, drawn: DirectionStatistics) -> bool:
    """Tell whether draws were made from other laws than those of ``direction``."""
    law = delay_law(direction)
    told = (drawn.set_delay_sum_us, drawn.set_delay_square_sum_us2, drawn.set_loss_sum_ppm)
    expected = (
        drawn.delays * law.mean_us,
        drawn.delays * law.square_mean_us2,
        (drawn.packets + drawn.lost) * round(direction.loss.mean_ppm),
    )
    return any(told) and told != expected


@dataclass(frozen=True, slots=True)
class _Set:
    mean_s: float
    sigma_s: float
    loss_share: float
    loss_variance: float


def _set_at_once(direction: LinkDirection) -> _Set:
    law = delay_law(direction)
    loss = direction.loss
    return _Set(law.mean_s, law.sigma_s, loss.mean_ppm / 1e6, loss.variance)


def _set_in_turn(drawn: DirectionStatistics) -> _Set:
    offered = drawn.packets + drawn.lost
    count, sum_us = drawn.delays, drawn.set_delay_sum_us
    return _Set(
        mean_s=sum_us / count / 1e6 if count else 0.0,
        sigma_s=_sigma_s(count, sum_us, drawn.set_delay_square_sum_us2),
        loss_share=drawn.set_loss_sum_ppm / offered / 1e6 if offered else 0.0,
        loss_variance=drawn.set_loss_variance_ppm / offered / 1e6 if offered else 0.0,
    )
