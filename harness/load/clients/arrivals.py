"""When requests are due: one in each slot of time, at a place in it that the seed draws.

Integers only, so equal seeds have equal times on every processor. The number of requests in a span
is fixed by the rate, and neighbours come at irregular distances from nothing to two slots.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from heapq import merge
from typing import Final

from harness.load.clients.config import ClientsConfig, Operation
from netem.draws import mix_one, stream_key

MICROSECONDS: Final = 1_000_000


@dataclass(frozen=True, slots=True, order=True)
class Arrival:
    """A request that is due.

    Attributes:
        due_us: microseconds after the start.
        number: which of its operation's it is, from 0.
        operation: place of its operation in the configuration.
        draw: 64 bits of its own, for whatever is drawn about it.
    """

    due_us: int
    operation: int
    number: int
    draw: int


def arrivals(config: ClientsConfig, client: int) -> Iterator[Arrival]:
    """Yield the requests that ``client`` (0..clients-1) makes, in order of their times."""
    return merge(
        *(
            _of_one(config, place, operation, client)
            for place, operation in enumerate(config.operations)
        )
    )


def count(config: ClientsConfig, operation: Operation) -> int:
    """Return how many requests of ``operation`` become due, by all clients together."""
    return int(max(0.0, config.span_s - operation.begins_s) * operation.rate_per_s)


def _of_one(
    config: ClientsConfig, place: int, operation: Operation, client: int
) -> Iterator[Arrival]:
    times = stream_key(config.seed, "arrival", operation.name)
    draws = stream_key(config.seed, "request", operation.name)
    slot_us = round(MICROSECONDS / operation.rate_per_s)
    begins_us = round(operation.begins_s * MICROSECONDS)
    for number in range(client, count(config, operation), config.clients):
        within_us = slot_us * mix_one(times, number) >> 64
        yield Arrival(
            begins_us + number * slot_us + within_us, place, number, mix_one(draws, number)
        )
