"""All links of one process: profiles, options, outages and statistics in one place."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakSet

import numpy as np
import trio
from numpy.typing import NDArray

from netem.gate import LinkGate
from netem.model import LinkIdentity, LinkModel, LinkStatistics, LinkTimeout
from netem.model.delay import NANOSECONDS
from netem.model.link import SYN_ATTEMPTS
from netem.profiles import LinkOptions, LinkProfile
from netem.raw import RawStream
from netem.shaper import ShapedStream, now_ns

DRAIN_S: Final = 30.0


class Links:
    """Makes shaped connections; use `open_links`.

    Attributes:
        profiles: by name, delays each way as the options read them.
        gates: one switch for every profile, for outages of a whole class; `add_gate` adds others.
        statistics: by profile, what was drawn on all connections so far.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        profiles: Mapping[str, LinkProfile],
        options: LinkOptions,
        seed: int,
        changing: NDArray[np.bool_] | None = None,
    ) -> None:
        self._nursery = nursery
        self._options = options
        self._seed = seed
        self.profiles = {name: profile.each_way(options) for name, profile in profiles.items()}
        self.gates = {name: LinkGate() for name in profiles}
        self.statistics = {name: LinkStatistics(name) for name in profiles}
        self._changing = changing
        self._changed: dict[int, LinkProfile] = {}
        self._changeable: dict[int, WeakSet[ShapedStream]] = {}
        self._more_gates: list[tuple[NDArray[np.bool_], LinkGate]] = []

    def add_gate(self, hits: NDArray[np.bool_]) -> LinkGate:
        """Return a switch of their own for concentrators, bool (concentrators,).

        Every connection that is made from now on is subject to it.
        """
        gate = LinkGate()
        self._more_gates.append((hits, gate))
        return gate

    def become(self, numbers: Iterable[int], profile: LinkProfile) -> None:
        """Let the links of concentrators be as a profile says, those of open connections too.

        Args:
            numbers: of the concentrators; each must be one that `open_links` was told may change.
            profile: as `LinkProfile.each_way` made it; see `LinkModel.become`.
        """
        for number in numbers:
            self._changed[number] = profile
            for stream in self._changeable.get(number, ()):
                stream.become(profile)

    async def connect(
        self,
        opener: Callable[[], Awaitable[RawStream]],
        profile: str,
        concentrator: int,
        *,
        channel: str = "push",
        number: int = 0,
        attempt: int = 0,
        gates: Sequence[LinkGate] = (),
    ) -> ShapedStream:
        """Open a connection that the concentrator dials; takes the modelled handshake.

        The raw connection is opened when the modelled SYN arrives, so that the far end sees
        connections come in at the times the link lets them.

        Args:
            opener: opens the raw stream.
            profile: name of the link's profile.
            concentrator: number of the concentrator whose link it is.
            channel: which of the concentrator's connections; part of the key of the draws.
            number: of the push or exchange the connection is opened for.
            attempt: at that push or exchange, from 0.
            gates: outages besides that of the profile's class, such as one of a region.

        Raises:
            KeyError: no such profile.
            OSError: the link is cut (ENETUNREACH), no SYN was answered (ETIMEDOUT), or whatever
                ``opener`` raised, after the time its refusal takes to come back. A link that is
                cut while it is dialled over gives a stream that is broken.
        """
        all_gates = self._gates_of(profile, concentrator, gates)
        await _until_a_syn_passes(all_gates)
        link = self._link(profile, concentrator)
        model = self._model(link, profile, concentrator, channel, number, attempt)
        if model is None:
            return ShapedStream(await opener(), None, self._nursery, all_gates)
        try:
            handshake = model.connect(now_ns())
        except LinkTimeout as timeout:
            await trio.sleep_until(timeout.at_ns / NANOSECONDS)
            raise TimeoutError(errno.ETIMEDOUT, str(timeout)) from timeout
        await trio.sleep_until(handshake.reached_ns / NANOSECONDS)
        raw = await _open_and_wait(opener, handshake.established_ns)
        stream = ShapedStream(raw, model, self._nursery, all_gates)
        self._may_change(stream, concentrator, link)
        if any(gate.kind == "break" for gate in all_gates):
            stream.reset()
        return stream

    def accept(
        self,
        raw: RawStream,
        profile: str,
        concentrator: int,
        *,
        channel: str = "pull",
        number: int = 0,
        attempt: int = 0,
        gates: Sequence[LinkGate] = (),
    ) -> ShapedStream:
        """Shape a connection that the head-end dialled and the concentrator accepted.

        The handshake's time falls on the first octets, because the raw connection exists already.
        A cut link, or a handshake that fails, gives a stream that is broken.

        Raises:
            KeyError: no such profile.
        """
        all_gates = self._gates_of(profile, concentrator, gates)
        link = self._link(profile, concentrator)
        model = self._model(link, profile, concentrator, channel, number, attempt)
        stream = ShapedStream(raw, model, self._nursery, all_gates)
        self._may_change(stream, concentrator, link)
        try:
            if model is not None:
                model.connect(now_ns(), opener="down")
        except LinkTimeout:
            stream.reset()
        if any(gate.kind == "break" for gate in all_gates):
            stream.reset()
        return stream

    def _gates_of(
        self, profile: str, concentrator: int, gates: Sequence[LinkGate]
    ) -> tuple[LinkGate, ...]:
        more = [gate for hits, gate in self._more_gates if hits[concentrator]]
        return (self.gates[profile], *more, *gates)

    def _link(self, profile: str, concentrator: int) -> LinkProfile:
        return self._changed.get(concentrator, self.profiles[profile])

    def _model(
        self,
        link: LinkProfile,
        profile: str,
        concentrator: int,
        channel: str,
        number: int,
        attempt: int,
    ) -> LinkModel | None:
        if link.is_perfect and not self._changes(concentrator):
            return None
        identity = LinkIdentity(self._seed, concentrator, channel)
        model = LinkModel(link, self._options, identity, self.statistics[profile])
        model.begin_exchange(number, attempt)
        return model

    def _changes(self, concentrator: int) -> bool:
        return self._changing is not None and bool(self._changing[concentrator])

    def _may_change(self, stream: ShapedStream, concentrator: int, link: LinkProfile) -> None:
        """Let a stream of ``link`` change from now on, and at once if it did meanwhile."""
        if self._changes(concentrator):
            self._changeable.setdefault(concentrator, WeakSet()).add(stream)
            now = self._changed.get(concentrator, link)
            if now is not link:
                stream.become(now)


async def _until_a_syn_passes(gates: Sequence[LinkGate]) -> None:
    """Try at once and after 1 s, 3 s, 7 s and so on, as SYNs are sent, until all gates are up.

    Raises:
        OSError: a link is cut (ENETUNREACH), or none passed within 127 s (ETIMEDOUT).
    """
    began_s = trio.current_time()
    for transmission in range(SYN_ATTEMPTS):
        await trio.sleep_until(began_s + (1 << transmission) - 1)
        if any(gate.kind == "break" for gate in gates):
            raise OSError(errno.ENETUNREACH, "the link is cut")
        if not any(gate.is_down for gate in gates):
            return
    await trio.sleep_until(began_s + (1 << SYN_ATTEMPTS) - 1)
    raise TimeoutError(errno.ETIMEDOUT, "no SYN passed")


async def _open_and_wait(opener: Callable[[], Awaitable[RawStream]], until_ns: int) -> RawStream:
    """Open, then wait for the answer; a refusal takes as long to come back."""
    try:
        raw = await opener()
    except OSError:
        await trio.sleep_until(until_ns / NANOSECONDS)
        raise
    try:
        await trio.sleep_until(until_ns / NANOSECONDS)
    except trio.Cancelled:
        await trio.aclose_forcefully(raw)
        raise
    return raw


@asynccontextmanager
async def open_links(
    profiles: Mapping[str, LinkProfile],
    options: LinkOptions,
    seed: int,
    *,
    drain_s: float = DRAIN_S,
    changing: NDArray[np.bool_] | None = None,
) -> AsyncIterator[Links]:
    """Own the links of this process for the length of an ``async with``.

    ``changing`` tells of each concentrator whether its link may become another (`Links.become`).
    At the end, octets still under way get ``drain_s`` to arrive; connections that are not through
    by then are reset. Cancellation resets them at once.
    """
    async with trio.open_nursery() as nursery:
        try:
            yield Links(nursery, profiles, options, seed, changing)
        finally:
            nursery.cancel_scope.deadline = trio.current_time() + drain_s
