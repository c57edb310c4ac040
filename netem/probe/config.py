"""What a probe process is told, as one line of JSON on its standard input."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Self


@dataclass(frozen=True, slots=True)
class ProbeLink:
    """One link to be probed: the class it is of, and its address on the fleet side.

    ``train``: this link carries trains, packets back to back, and nothing else; they show the rate.
    """

    category: int
    address: str
    train: bool = False


@dataclass(frozen=True, slots=True)
class ProbeConfig:
    """What is probed, from where, and how often.

    ``fleet_namespace`` and ``head_end_namespace`` are paths of network namespaces. Every link that
    carries no trains sends a datagram each way every ``interval_s``, those of all links evenly
    spread over it. A train is ``train_packets`` datagrams of ``train_octets`` (IP header included),
    sent at once, every ``train_interval_s``, so that no two of a link are under way together.
    ``bucket_s`` is how long the spans are that results are given for; what has not arrived
    ``patience_s`` after the end of its span counts as lost. Times in real seconds.
    """

    fleet_namespace: str
    head_end_namespace: str
    head_end_address: str
    links: tuple[ProbeLink, ...]
    interval_s: float = 0.5
    train_packets: int = 60
    train_octets: int = 1_400
    train_interval_s: float = 30.0
    bucket_s: float = 5.0
    patience_s: float = 10.0

    def to_line(self) -> str:
        """Return the configuration as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def from_line(cls, line: str) -> Self:
        """Return what `to_line` wrote; raises `TypeError` or `ValueError` for anything else."""
        values = json.loads(line)
        links = tuple(ProbeLink(**link) for link in values.pop("links"))
        return cls(links=links, **values)
