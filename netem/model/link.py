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
_ANSWER_SHIFT: Final = 4
"""Tells an answer that its sender's timer repeats from one to a SYN that is repeated."""
_ACKNOWLEDGED: Final = 1 << 8
"""Tells what acknowledges an answer from a SYN."""


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


class _Tries:
    """The SYNs of one attempt to connect, and what came of them."""

    __slots__ = (
        "answers_ns",
        "begun_ns",
        "echoed_ns",
        "established_ns",
        "first_there_ns",
        "next_ns",
        "reached_ns",
        "repeat_ns",
        "repeated",
        "syns",
    )

    def __init__(self, begun_ns: int) -> None:
        self.begun_ns = self.next_ns = begun_ns
        self.syns = 0
        self.answers_ns: list[int] = []
        self.established_ns = self.reached_ns = self.first_there_ns = NEVER
        self.repeat_ns = NEVER
        """When the answerer's timer repeats its answer."""
        self.repeated = 1
        """Number of that repetition."""
        self.echoed_ns = begun_ns
        """When the SYN was sent that got there first: all answers echo its timestamp."""

    @property
    def wants_another(self) -> bool:
        """Whether the next SYN is sent."""
        return self.next_ns < self.established_ns and self.syns < SYN_ATTEMPTS

    def add(self, there_ns: int, back_ns: int) -> None:
        """Note when the next SYN got there, and when the answer to it was back."""
        if there_ns < self.first_there_ns:
            self.first_there_ns, self.echoed_ns = there_ns, self.next_ns
        if there_ns < NEVER:
            self.repeat_ns = there_ns + (NANOSECONDS << self.repeated - 1)
        self._note(there_ns, back_ns)
        self.syns += 1
        self.next_ns = self.begun_ns + ((1 << self.syns) - 1) * NANOSECONDS

    def add_repeated(self, back_ns: int) -> None:
        """Note when an answer that was repeated was back."""
        self._note(self.repeat_ns, back_ns)
        self.repeated += 1
        self.repeat_ns += NANOSECONDS << self.repeated - 1
        if self.repeated == SYN_ATTEMPTS:
            self.repeat_ns = NEVER

    def _note(self, there_ns: int, back_ns: int) -> None:
        self.answers_ns.append(back_ns)
        if back_ns < self.established_ns:
            self.reached_ns, self.established_ns = there_ns, back_ns


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
        tries = _Tries(now_ns)
        while tries.wants_another:
            there_ns = self._pass(opener, tries.next_ns, tries.syns)
            self._repeat_answer(answerer, tries, there_ns)
            tries.add(there_ns, self._pass(answerer, there_ns, tries.syns))
            self._repeat_answer(answerer, tries, tries.next_ns)
        self._statistics.syn_retransmitted += tries.syns - 1
        if tries.established_ns >= NEVER:
            self._statistics.connections_timed_out += 1
            raise LinkTimeout(tries.next_ns)
        self._statistics.connections += 1
        self._establish(opener, tries)
        return Handshake(tries.reached_ns, tries.established_ns)

    def _establish(self, opener: Direction, tries: _Tries) -> None:
        """Acknowledge, and begin with what the handshake has taught."""
        established_ns = tries.established_ns
        for sender in self._senders.values():
            sender.sample_round_trip(established_ns, established_ns - tries.echoed_ns)
            sender.free_ns = sender.last_release_ns = established_ns
        if tries.syns > 2 and tries.echoed_ns > tries.begun_ns:
            # Linux: more than one SYN was sent again, and not in vain.
            self._senders[opener].window = 1
        # Each answer is acknowledged, those too that come when all is settled; but on a link in
        # order what is handed over before that goes before it.
        late = [at_ns for at_ns in sorted(tries.answers_ns) if established_ns <= at_ns < NEVER]
        for number, at_ns in enumerate(late[:1] if self._options.order == "link" else late):
            self._pass(opener, at_ns, _ACKNOWLEDGED | number)

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

    def _repeat_answer(self, answerer: Direction, tries: _Tries, before_ns: int) -> None:
        """Let the answerer's own timer repeat its answer, until then or until one is back."""
        while tries.repeat_ns < min(before_ns, tries.established_ns):
            sent_ns, number = tries.repeat_ns, tries.repeated << _ANSWER_SHIFT
            tries.add_repeated(self._pass(answerer, sent_ns, number))

    def _pass(self, direction: Direction, at_ns: int, transmission: int) -> int:
        if at_ns >= NEVER:
            return NEVER
        path = self._paths[direction]
        entered_ns = path.enter(path.data, at_ns, TCP_IP_HEADERS, HANDSHAKE_KIND | transmission)
        if entered_ns is None:
            return NEVER
        left_ns = path.leave_ahead(path.data, entered_ns, TCP_IP_HEADERS)
        return NEVER if left_ns is None else left_ns
