"""A connection over a link: its handshake and both its directions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from netem.draws import stream_key
from netem.model.delay import NANOSECONDS
from netem.model.path import Path, path_rule
from netem.model.sender import NEVER
from netem.model.statistics import LinkStatistics
from netem.model.tcp import HANDSHAKE_KIND, TcpSender, Transfer
from netem.profiles import TCP_IP_HEADERS, Direction, LinkOptions, LinkProfile
from netem.shared_medium import Medium

SYN_ATTEMPTS: Final = 7
"""Transmissions of a SYN before the attempt is given up (Linux: 1 and tcp_syn_retries 6)."""


class LinkTimeout(Exception):
    """No answer to any SYN came back over the link.

    Attributes:
        at_ns: when the attempt is given up, 127 s after it began.
    """

    def __init__(self, at_ns: int) -> None:
        self.at_ns = at_ns
        super().__init__("no answer to any SYN came back over the link")


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Whose link it is; with exchange, attempt, direction and packet it keys every draw."""

    seed: int
    concentrator: int
    channel: str
    """Which of the concentrator's connections: ``push``, ``pull`` ..."""

    def key(self, number: int, attempt: int, direction: Direction) -> int:
        """Return the key of the draws of one direction of one exchange."""
        return stream_key(
            self.seed, "link", self.channel, self.concentrator, number, attempt, direction
        )


@dataclass(frozen=True, slots=True)
class Handshake:
    """When the ends of a new connection learn of each other, in nanoseconds."""

    reached_ns: int
    """When the SYN whose answer opened the connection reached the far end."""
    established_ns: int
    """When the near end has the answer and may send."""


class LinkModel:
    """One connection over one link. Up is from the concentrator to the head-end.

    Args:
        profile: as `LinkProfile.each_way` made it.
        options: limit and order.
        identity: whose connection it is.
        statistics: where its packets are counted.
    """

    __slots__ = ("_identity", "_options", "_paths", "_senders", "_statistics")

    def __init__(
        self,
        profile: LinkProfile,
        options: LinkOptions,
        identity: LinkIdentity,
        statistics: LinkStatistics,
    ) -> None:
        self._identity = identity
        self._options = options
        self._statistics = statistics
        up = Path(path_rule(profile.up, options), statistics.up, self._medium("up", profile))
        down = Path(
            path_rule(profile.down, options), statistics.down, self._medium("down", profile)
        )
        self._paths: dict[Direction, Path] = {"up": up, "down": down}
        segment_octets = profile.segment_octets
        self._senders: dict[Direction, TcpSender] = {
            "up": TcpSender(up, down, segment_octets),
            "down": TcpSender(down, up, segment_octets),
        }
        self.begin_exchange(0, 0)

    def become(self, profile: LinkProfile) -> None:
        """Do what ``profile`` says to every packet handed over from now on.

        The connection stays: its draws keep their keys, so that packet n of an exchange draws the
        same number whatever the link was before; sending ends keep their window and their estimate
        of the round trip, as TCP does when a cell gets worse. Octets already handed over keep the
        times that were worked out for them.

        Args:
            profile: as `LinkProfile.each_way` made it; may have another ``mtu``.
        """
        for direction, path in self._paths.items():
            rule = path_rule(profile.way(direction), self._options)
            path.become(rule, self._medium(direction, profile))
            self._senders[direction].segment_octets = profile.segment_octets
        self._statistics.changes += 1

    def begin_exchange(self, number: int, attempt: int) -> None:
        """Key the draws to come by this exchange and attempt and number its packets from 0."""
        for direction, path in self._paths.items():
            path.use_key(self._identity.key(number, attempt, direction))
            self._senders[direction].segments = 0

    def connect(self, now_ns: int, opener: Direction = "up") -> Handshake:
        """Open the connection: SYN and SYN-ACK, the SYN again after 1 s, 3 s, 7 s and so on.

        Args:
            now_ns: when the first SYN is sent.
            opener: the direction of the SYN; ``down`` where the head-end dials.

        Raises:
            LinkTimeout: no answer came within 127 s.
        """
        self._forget(now_ns)
        answerer: Direction = "down" if opener == "up" else "up"
        reached_ns = established_ns = NEVER
        rtt_ns = 0
        sent_ns, transmission = now_ns, 0
        while sent_ns < established_ns and transmission < SYN_ATTEMPTS:
            there_ns = self._pass(opener, sent_ns, transmission)
            back_ns = self._pass(answerer, there_ns, transmission)
            if back_ns < established_ns:
                reached_ns, established_ns, rtt_ns = there_ns, back_ns, back_ns - sent_ns
            self._statistics.syn_retransmitted += transmission > 0
            transmission += 1
            sent_ns = now_ns + ((1 << transmission) - 1) * NANOSECONDS
        if established_ns >= NEVER:
            self._statistics.connections_timed_out += 1
            raise LinkTimeout(sent_ns)
        self._statistics.connections += 1
        for sender in self._senders.values():
            sender.sample_round_trip(established_ns, rtt_ns)
            sender.free_ns = sender.last_release_ns = established_ns
        return Handshake(reached_ns, established_ns)

    def timeout_ns(self, direction: Direction) -> int:
        """Return the retransmission timeout of the end that sends in ``direction``."""
        return self._senders[direction].timeout_ns

    def transfer(self, direction: Direction, now_ns: int, octets: int) -> Transfer:
        """Return when ``octets`` handed over now come out at the far end of ``direction``.

        0 octets stand for the end of the stream. Calls must come in order of time for each
        direction.
        """
        self._forget(now_ns)
        return self._senders[direction].transfer(now_ns, octets)

    def _forget(self, before_ns: int) -> None:
        for path in self._paths.values():
            path.forget(before_ns)

    def _medium(self, direction: Direction, profile: LinkProfile) -> Medium | None:
        media, identity = self._statistics.media, self._identity
        way = profile.way(direction)
        return media.medium(direction, way, identity.seed, identity.concentrator)

    def _pass(self, direction: Direction, at_ns: int, transmission: int) -> int:
        if at_ns >= NEVER:
            return NEVER
        path = self._paths[direction]
        entered_ns = path.enter(path.data, at_ns, TCP_IP_HEADERS, HANDSHAKE_KIND | transmission)
        if entered_ns is None:
            return NEVER
        left_ns = path.leave(path.data, entered_ns, TCP_IP_HEADERS)
        return NEVER if left_ns is None else left_ns
