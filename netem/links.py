"""All links of one process: profiles, options, outages and statistics in one place."""

from __future__ import annotations

import errno
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

import trio

from netem.gate import LinkGate
from netem.model import LinkIdentity, LinkModel, LinkStatistics, LinkTimeout
from netem.model.delay import NANOSECONDS
from netem.profiles import LinkOptions, LinkProfile
from netem.shaper import RawStream, ShapedStream, now_ns

DRAIN_S: Final = 30.0


class Links:
    """Makes shaped connections; use `open_links`.

    Attributes:
        profiles: by name, delays each way as the options read them.
        gates: one switch for every profile, for outages of a whole class.
        statistics: by profile, what was drawn on all connections so far.
    """

    def __init__(
        self,
        nursery: trio.Nursery,
        profiles: Mapping[str, LinkProfile],
        options: LinkOptions,
        seed: int,
    ) -> None:
        self._nursery = nursery
        self._options = options
        self._seed = seed
        self.profiles = {name: profile.each_way(options) for name, profile in profiles.items()}
        self.gates = {name: LinkGate() for name in profiles}
        self.statistics = {name: LinkStatistics(name) for name in profiles}

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
                ``opener`` raised, after the time its refusal takes to come back.
        """
        all_gates = (self.gates[profile], *gates)
        await self._wait_for_gates(all_gates)
        model = self._model(profile, concentrator, channel, number, attempt)
        if model is None:
            return ShapedStream(await opener(), None, self._nursery, all_gates)
        try:
            handshake = model.connect(now_ns())
        except LinkTimeout as timeout:
            await trio.sleep_until(timeout.at_ns / NANOSECONDS)
            raise TimeoutError(errno.ETIMEDOUT, str(timeout)) from timeout
        await trio.sleep_until(handshake.reached_ns / NANOSECONDS)
        raw = await _open_and_wait(opener, handshake.established_ns)
        return ShapedStream(raw, model, self._nursery, all_gates)

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
        all_gates = (self.gates[profile], *gates)
        model = self._model(profile, concentrator, channel, number, attempt)
        stream = ShapedStream(raw, model, self._nursery, all_gates)
        try:
            if model is not None:
                model.connect(now_ns(), opener="down")
        except LinkTimeout:
            stream.reset()
        if any(gate.kind == "break" for gate in all_gates):
            stream.reset()
        return stream

    def _model(
        self, profile: str, concentrator: int, channel: str, number: int, attempt: int
    ) -> LinkModel | None:
        link = self.profiles[profile]
        if link.is_perfect:
            return None
        identity = LinkIdentity(self._seed, concentrator, channel)
        model = LinkModel(link, self._options, identity, self.statistics[profile])
        model.begin_exchange(number, attempt)
        return model

    async def _wait_for_gates(self, gates: Sequence[LinkGate]) -> None:
        while any(gate.is_down for gate in gates):
            if any(gate.kind == "break" for gate in gates):
                raise OSError(errno.ENETUNREACH, "the link is cut")
            for gate in gates:
                await gate.wait_up()


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
) -> AsyncIterator[Links]:
    """Own the links of this process for the length of an ``async with``.

    At the end, octets still under way get ``drain_s`` to arrive; connections that are not through
    by then are reset. Cancellation resets them at once.
    """
    async with trio.open_nursery() as nursery:
        try:
            yield Links(nursery, profiles, options, seed)
        finally:
            nursery.cancel_scope.deadline = trio.current_time() + drain_s
