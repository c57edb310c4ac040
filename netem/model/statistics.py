"""What a link was set to do beside what was drawn for its packets."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields
from typing import Any, Final, Self

from netem.model.delay import delay_law
from netem.profiles import GilbertElliottLoss, LinkDirection, LinkProfile

MICROSECOND_NS: Final = 1_000


@dataclass(slots=True)
class DirectionStatistics:
    """Counts of one direction over all connections of a profile; sums, so that they merge."""

    packets: int = 0
    """Packets carried: data, acknowledgements, handshakes; not the lost ones."""
    delays: int = 0
    """Delays drawn; fewer than packets where packets under way together share one."""
    lost: int = 0
    policed: int = 0
    """Packets dropped by a packet rate that polices."""
    waited: int = 0
    """Packets that waited for the packet rate or the bit rate."""
    transfers: int = 0
    octets: int = 0
    segments: int = 0
    retransmitted: int = 0
    spurious: int = 0
    """Retransmissions of segments that had not been lost."""
    delay_sum_us: int = 0
    delay_square_sum_us2: int = 0

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
        if not self.delays:
            return 0.0
        spread = self.delays * self.delay_square_sum_us2 - self.delay_sum_us**2
        return float(spread**0.5 / self.delays / 1e6)

    @property
    def loss_share(self) -> float:
        """Share of the packets that were drawn lost."""
        offered = self.packets + self.lost
        return self.lost / offered if offered else 0.0


@dataclass(slots=True)
class LinkStatistics:
    """Both directions of one profile."""

    profile: str
    up: DirectionStatistics = field(default_factory=DirectionStatistics)
    down: DirectionStatistics = field(default_factory=DirectionStatistics)
    connections: int = 0
    connections_timed_out: int = 0
    syn_retransmitted: int = 0

    def merge(self, other: LinkStatistics) -> None:
        """Add the counts of ``other``, which may come from another process."""
        self.up.merge(other.up)
        self.down.merge(other.down)
        self.connections += other.connections
        self.connections_timed_out += other.connections_timed_out
        self.syn_retransmitted += other.syn_retransmitted

    def as_dict(self) -> dict[str, Any]:
        """Return plain values for msgpack or JSON; integers too wide for msgpack become text."""
        values = asdict(self)
        for direction in ("up", "down"):
            squares = values[direction]["delay_square_sum_us2"]
            values[direction]["delay_square_sum_us2"] = str(squares)
        return values

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Return what `as_dict` wrote.

        Raises:
            KeyError, TypeError, ValueError: ``values`` is not from `as_dict`.
        """
        directions = {
            name: DirectionStatistics(
                **values[name] | {"delay_square_sum_us2": int(values[name]["delay_square_sum_us2"])}
            )
            for name in ("up", "down")
        }
        return cls(**values | directions)


def set_and_drawn(profile: LinkProfile, statistics: LinkStatistics) -> dict[str, dict[str, Any]]:
    """Return what was set beside what was drawn, for each direction, delays in seconds.

    ``profile`` is the one `LinkProfile.each_way` made. The deviation and mean set are those of the
    law cut at zero, which is what a packet can really meet.
    """
    return {
        "up": _compared(profile.up, statistics.up),
        "down": _compared(profile.down, statistics.down),
    }


def _compared(direction: LinkDirection, drawn: DirectionStatistics) -> dict[str, Any]:
    law = delay_law(direction)
    return {
        "delay_mean_s": {"set": law.mean_s, "drawn": drawn.mean_s},
        "delay_sigma_s": {"set": law.sigma_s, "drawn": drawn.sigma_s},
        "loss_share": {"set": _set_loss_share(direction), "drawn": drawn.loss_share},
        "packets": drawn.packets,
        "delays": drawn.delays,
    }


def _set_loss_share(direction: LinkDirection) -> float:
    loss = direction.loss
    if isinstance(loss, GilbertElliottLoss):
        either = loss.to_bad + loss.to_good
        bad = loss.to_bad / either if either else 0.0
        return (bad * loss.in_bad + (1 - bad) * loss.in_good) / 1e6
    return loss.share / 1e6
