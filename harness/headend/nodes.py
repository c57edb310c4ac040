"""The registration table of a head-end shard: which nodes are registered, until when, and where.

A registration holds for its period and is renewed by registering again. What happens to one is
returned as `Registrations`, to be made durable before it is confirmed; the table made anew after a
death is loaded from the store, so what was confirmed is known. Addresses are not stored: after a
restart a node is reached where it was provisioned, until it registers again.

Time comes from the function given, POSIX microseconds that never jump, and nothing waits here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol, TypeAlias

import numpy as np

from harness.headend.registry import Registry
from harness.store.rows import NO_METER, RegistrationKind, Registrations
from protocols.c12.native_address import NativeAddress
from protocols.plugin import NodeRegistration

BEYOND_RATE: Final = "refused: registration beyond the rate"
STRANGER: Final = "refused: registration of a stranger"
NOT_REGISTERED: Final = "refused: deregistration of a node that was not registered"
"""Counters of what was refused; like others that begin so, they are shown as failures."""

NODES_MAX: Final = 10_000
"""Nodes in one answer."""
SECOND_US: Final = 1_000_000
_GONE: Final = (RegistrationKind.DEREGISTERED, RegistrationKind.EXPIRED)

_Change: TypeAlias = "tuple[NodePlace, RegistrationKind, int, int]"
"""Who, what, for how many seconds, and when in POSIX microseconds."""


@dataclass(frozen=True, slots=True)
class NodePlace:
    """Who a node is: a meter behind a concentrator, or with `NO_METER` the concentrator itself.

    ``address`` is the native address it was provisioned with, or that of its concentrator.
    """

    concentrator: int
    meter: int
    address: bytes

    @property
    def is_relay(self) -> bool:
        """Whether it is the concentrator."""
        return self.meter == NO_METER


class NodeDirectory(Protocol):
    """The nodes that a shard may register."""

    def place_of(self, title: bytes) -> NodePlace | None:
        """Return who is called ``title``; ``None`` for a stranger to this shard."""

    def title_of(self, concentrator: int, meter: int) -> bytes | None:
        """Return what a meter, or with `NO_METER` a concentrator, is called on the wire."""


class ProvisionedNodeDirectory:
    """The concentrators and nodes in a shard's registry; a `NodeDirectory`."""

    def __init__(self, registry: Registry) -> None:
        """Ask ``registry``."""
        self._registry = registry

    def place_of(self, title: bytes) -> NodePlace | None:
        """See `NodeDirectory.place_of`."""
        record = self._registry.by_title(title)
        if record is None:
            return None
        meter = self._registry.meter(title)
        address = NativeAddress.parse(record.address, record.port).encode()
        return NodePlace(record.number, NO_METER if meter is None else meter, address)

    def title_of(self, concentrator: int, meter: int) -> bytes | None:
        """See `NodeDirectory.title_of`."""
        record = self._registry.concentrators.get(concentrator)
        if record is None or meter == NO_METER:
            return None if record is None else record.system_title
        found = self._registry.provisioning.nodes.behind(meter, 1)
        return found[0].system_title if len(found) else None


@dataclass(frozen=True, slots=True)
class Node:
    """One line of the table; times are POSIX microseconds.

    ``registered`` says whether it is registered at the time of asking; if not, ``expires_at_us`` is
    when that ended.
    """

    title: bytes
    place: NodePlace
    address: bytes
    period_s: int
    registered_at_us: int
    expires_at_us: int
    registered: bool


class TokenBucket:
    """A bound on how much is taken in a second; a second's worth may come at once.

    Args:
        per_s: how many, at least 1.
        now_us: the time of the first question; the bucket is full.
    """

    def __init__(self, per_s: int, now_us: int) -> None:
        # Millionths of a token, so that integers suffice: per_s of them drip in each microsecond.
        self._full = per_s * SECOND_US
        self._per_us = per_s
        self._level = self._full
        self._at_us = now_us

    def take(self, count: int, now_us: int) -> int:
        """Return how many of ``count`` may pass now, and count these; time never runs backwards."""
        dripped = self._per_us * max(0, now_us - self._at_us)
        self._level = min(self._full, self._level + dripped)
        self._at_us = max(self._at_us, now_us)
        taken = min(count, self._level // SECOND_US)
        self._level -= taken * SECOND_US
        return taken


class NodeTable:
    """A `protocols.plugin.NodeTable`, and what the head-end does with it.

    Args:
        directory: the nodes there are.
        now_us: the time, POSIX microseconds that never jump.
        registrations_per_s: how many registrations are admitted in a second; ``None`` for all.
        known: the last change of each node, as stored (`Store.last_registrations`).
        counts: where to count what happens, by name; those of a shard end up in the report.
    """

    def __init__(
        self,
        directory: NodeDirectory,
        now_us: Callable[[], int],
        registrations_per_s: int | None = None,
        known: Registrations | None = None,
        counts: Counter[str] | None = None,
    ) -> None:
        self.counts: Counter[str] = Counter() if counts is None else counts
        self._directory = directory
        self._now_us = now_us
        self._bucket = (
            None if registrations_per_s is None else TokenBucket(registrations_per_s, now_us())
        )
        self._lines: dict[bytes, int] = {}
        self._titles: list[bytes] = []
        self._addresses: list[bytes] = []
        self._places: list[NodePlace] = []
        self._period_s = np.zeros(0, np.int64)
        self._registered_at_us = np.zeros(0, np.int64)
        # When the registration ends, or ended; `_open` until the end of it was noted.
        self._expires_at_us = np.zeros(0, np.int64)
        self._open = np.zeros(0, np.bool_)
        if known is not None:
            self._load(known)

    def __len__(self) -> int:
        """How many nodes have ever been registered."""
        return len(self._titles)

    @property
    def registered(self) -> int:
        """How many nodes are registered now."""
        used = slice(len(self))
        return int(
            np.count_nonzero(self._open[used] & (self._expires_at_us[used] > self._now_us()))
        )

    def is_registered(self, title: bytes) -> bool:
        """Tell whether the node called ``title`` is registered now."""
        line = self._lines.get(title)
        return line is not None and self._holds(line, self._now_us())

    def admits(self, count: int) -> int:
        """Return how many of ``count`` more registrations are taken now, and count these."""
        taken = count if self._bucket is None else self._bucket.take(count, self._now_us())
        self.counts[BEYOND_RATE] += count - taken
        return taken

    def address_of(self, title: bytes) -> bytes | None:
        """Return the native address through which a registered node is reached."""
        line = self._lines.get(title)
        if line is None or not self._holds(line, self._now_us()):
            return None
        return self._addresses[line]

    def register(self, concentrator: int, nodes: Sequence[NodeRegistration]) -> Registrations:
        """Register, renew or (period 0) deregister nodes of one concentrator, itself among them.

        Strangers to it are counted and left out. Returns what is to be stored before anybody is
        told.
        """
        changes: list[_Change] = []
        now_us = self._now_us()
        for node in nodes:
            place = self._directory.place_of(node.title)
            if place is None or place.concentrator != concentrator:
                self.counts[STRANGER] += 1
                continue
            changes += self._lapsed(node.title, now_us)
            kind = self._take(node, place, now_us)
            if kind is not None:
                changes.append((place, kind, node.period_s, now_us))
        return _columns(changes)

    def expire(self) -> Registrations:
        """Note the registrations that ended since the last call; return them to be stored."""
        used = slice(len(self))
        over = self._open[used] & (self._expires_at_us[used] <= self._now_us())
        return _columns([self._close(line) for line in np.flatnonzero(over).tolist()])

    def page(self, after: int, count: int) -> Iterator[Node]:
        """Yield up to ``count`` lines beyond the first ``after``, by time of first registration."""
        now_us = self._now_us()
        for line in range(after, min(after + count, len(self))):
            yield Node(
                self._titles[line],
                self._places[line],
                self._addresses[line],
                int(self._period_s[line]),
                int(self._registered_at_us[line]),
                int(self._expires_at_us[line]),
                self._holds(line, now_us),
            )

    def told(self, after: int, count: int) -> dict[str, Any]:
        """Answer ``nodes`` of the control socket: how many there are, and a page of them.

        Raises `ValueError`: a negative ``after``, or a ``count`` beyond 0 to `NODES_MAX`.
        """
        if after < 0 or not 0 <= count <= NODES_MAX:
            raise ValueError(f"after must not be negative, and count 0 to {NODES_MAX}")
        return {
            "total": len(self),
            "registered": self.registered,
            "nodes": [
                {
                    "title": node.title.hex(),
                    "concentrator": node.place.concentrator,
                    "meter": None if node.place.is_relay else node.place.meter,
                    "address": node.address.hex(),
                    "period_s": node.period_s,
                    "registered_at_us": node.registered_at_us,
                    "expires_at_us": node.expires_at_us,
                    "registered": node.registered,
                }
                for node in self.page(after, count)
            ],
        }

    def _take(
        self, node: NodeRegistration, place: NodePlace, now_us: int
    ) -> RegistrationKind | None:
        line = self._lines.get(node.title)
        held = line is not None and self._holds(line, now_us)
        if node.period_s <= 0:
            if line is None or not held:
                self.counts[NOT_REGISTERED] += 1
                return None
            self._open[line] = False
            self._expires_at_us[line] = now_us
            self.counts["registrations ended by their nodes"] += 1
            return RegistrationKind.DEREGISTERED
        if line is None:
            line = self._append(node.title, place)
        self._addresses[line] = node.address or place.address
        self._hold(line, node.period_s, now_us)
        self.counts["registrations renewed" if held else "registrations begun"] += 1
        return RegistrationKind.RE_REGISTERED if held else RegistrationKind.REGISTERED

    def _lapsed(self, title: bytes, now_us: int) -> list[_Change]:
        """Note the end of a registration that is over, but that `expire` did not note yet."""
        line = self._lines.get(title)
        if line is None or not self._open[line] or self._holds(line, now_us):
            return []
        return [self._close(line)]

    def _close(self, line: int) -> _Change:
        self._open[line] = False
        self.counts["registrations expired"] += 1
        period_s, at_us = int(self._period_s[line]), int(self._expires_at_us[line])
        return self._places[line], RegistrationKind.EXPIRED, period_s, at_us

    def _holds(self, line: int, now_us: int) -> bool:
        return bool(self._open[line]) and int(self._expires_at_us[line]) > now_us

    def _hold(self, line: int, period_s: int, at_us: int) -> None:
        self._period_s[line] = period_s
        self._registered_at_us[line] = at_us
        self._expires_at_us[line] = at_us + period_s * SECOND_US
        self._open[line] = True

    def _append(self, title: bytes, place: NodePlace) -> int:
        line = self._lines[title] = len(self._titles)
        self._titles.append(title)
        self._places.append(place)
        self._addresses.append(place.address)
        if line >= len(self._open):
            size = max(256, 2 * line)
            for name in ("_period_s", "_registered_at_us", "_expires_at_us", "_open"):
                # Not numpy.resize, which repeats what is there.
                grown = np.zeros(size, getattr(self, name).dtype)
                grown[:line] = getattr(self, name)
                setattr(self, name, grown)
        return line

    def _load(self, known: Registrations) -> None:
        columns = (known.concentrator, known.meter, known.kind, known.period_s, known.at_us)
        for concentrator, meter, kind, period_s, at_us in zip(
            *(column.tolist() for column in columns), strict=True
        ):
            title = self._directory.title_of(concentrator, meter)
            place = None if title is None else self._directory.place_of(title)
            if title is None or place is None or kind in _GONE:
                continue
            self._hold(self._append(title, place), period_s, at_us)


def _columns(changes: Sequence[_Change]) -> Registrations:
    count = len(changes)
    return Registrations(
        meter=np.fromiter((place.meter for place, *_ in changes), np.uint32, count),
        concentrator=np.fromiter((place.concentrator for place, *_ in changes), np.uint32, count),
        kind=np.fromiter((kind for _, kind, _, _ in changes), np.uint8, count),
        period_s=np.fromiter((period_s for _, _, period_s, _ in changes), np.uint32, count),
        at_us=np.fromiter((at_us for *_, at_us in changes), np.int64, count),
    )
