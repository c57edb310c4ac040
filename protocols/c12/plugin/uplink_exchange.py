"""Messages of a relay's nodes to their head-end, many at once, and the answers to them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Final

from protocols.c12 import ber
from protocols.c12.acse import AeQualifier, AuthenticationValue, Header
from protocols.c12.eax_prime import WrongMacError, for_key
from protocols.c12.epsem import Control, ResponseControl, SecurityMode
from protocols.c12.initialization_vectors import ReplayError, ReplayRule, check_vector
from protocols.c12.message import MessageTemplate, MissingVectorError, Sealed, read_message
from protocols.c12.plugin.naming import key_id_of, title_of
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.push_encoding import Services
from protocols.c12.relay import Membership
from protocols.c12.services import Response, ResponseCode, decode_response
from protocols.c12.titles import ApTitle
from protocols.errors import CodecError
from protocols.plugin import Counters, Credentials

REFUSALS_MAX: Final = 1024
"""Causes kept until somebody asks for them; a peer must not choose our memory use."""
_INVOCATIONS: Final = 0xFFFF_FFFF


class _NoAnswerError(Exception):
    """What came is no answer, or not to be believed; says why."""


_NO_ANSWERS: Final = (
    _NoAnswerError,
    WrongMacError,
    ReplayError,
    MissingVectorError,
    CodecError,
)


INVOCATIONS_OF_THE_RELAY: Final = b"invocations"
MESSAGES_PER_SECOND: Final = 64
"""A relay that sends more all the time uses the ids of its next life."""


class Kind(Enum):
    """What a message is about."""

    REGISTRATION = auto()
    PUSH = auto()


@dataclass(slots=True, eq=False)
class UplinkNode:
    """A node of the relay, or (``index`` -1) the relay itself.

    ``waiting`` is what it wants to say once it is registered, ``template`` its pushes, from the
    first one on; ``joining`` its registration, while it is not registered. ``repr`` shows no key.
    """

    index: int
    title: bytes
    name: ApTitle
    key: bytes = field(repr=False)
    membership: Membership = field(default_factory=Membership)
    template: MessageTemplate | None = None
    joining: MessageTemplate | None = None
    waiting: list[Task] = field(default_factory=list)

    @classmethod
    def of(cls, index: int, credentials: Credentials) -> UplinkNode:
        """Return the node with these credentials."""
        title = credentials.system_title
        return cls(index, title, ApTitle.decode(title), credentials.encryption_key)


@dataclass(slots=True, eq=False)
class Task:
    """One message to be sent and answered.

    ``push`` is the number of the push it is part of, ``vector`` what it last went out under.
    """

    node: UplinkNode
    kind: Kind
    services: Services
    push: int = 0
    attempt: int = 0
    vector: int | None = None


class Exchange:
    """What is under way, by invocation id, which never repeats on one connection or the next.

    Args:
        counters: vectors to send under.
        options: how messages are protected, and who the head-end is.
    """

    def __init__(self, counters: Counters, options: C12Options) -> None:
        self._counters = counters
        self._options = options
        self._protected = options.security is not SecurityMode.CLEAR
        self._head_end = ApTitle.decode(title_of(options.head_end))
        # Beyond those of an earlier life, whose answers must not be taken for ours.
        first = counters.stamp(INVOCATIONS_OF_THE_RELAY) * MESSAGES_PER_SECOND
        self._invocation = first % _INVOCATIONS
        self._under_way: dict[int, Task] = {}
        self.refusals: deque[str] = deque(maxlen=REFUSALS_MAX)

    def __len__(self) -> int:
        """How many answers are waited for."""
        return len(self._under_way)

    def void(self) -> None:
        """Wait for no answer any more."""
        self._under_way.clear()

    def message(self, task: Task) -> bytes:
        """Return the message to send now; its answer is waited for, if it will have one."""
        node, options = task.node, self._options
        self._invocation = self._invocation % _INVOCATIONS + 1
        if task.kind is Kind.REGISTRATION:
            if node.joining is None:
                node.joining = self._template(node, ResponseControl.ALWAYS)
            template = node.joining
            self._under_way[self._invocation] = task
        else:
            if node.template is None:
                node.template = self._template(node, options.response_control, is_push=True)
            template = node.template
            if options.confirmed:
                self._under_way[self._invocation] = task
        task.vector = self._counters.stamp(node.title) if self._protected else None
        return template.build(
            task.services,
            ber.unsigned(self._invocation, "calling_invocation"),
            task.vector,
            for_key(node.key) if self._protected else None,
        )

    def take(self, octets: bytes) -> tuple[Task, Response] | None:
        """Return what an APDU answers, and how.

        What is no answer, or not to be believed, is among the refusals and changes nothing.
        """
        try:
            sealed = read_message(octets)
            invocation = sealed.header.called_invocation
            number = 0 if invocation is None else ber.read_unsigned(invocation, "A4")
            task = self._under_way.get(number)
            if task is None:
                raise _NoAnswerError("unexpected response")
            response = self._response(sealed, task)
        except _NO_ANSWERS as exc:
            self.refusals.append(_cause(exc))
            return None
        del self._under_way[number]
        return task, response

    def _template(
        self, node: UplinkNode, response: ResponseControl, *, is_push: bool = False
    ) -> MessageTemplate:
        options = self._options
        authentication = AuthenticationValue(0, key_id_of(node.title)) if self._protected else None
        header = Header(
            self._head_end,
            node.name,
            b"\0",
            qualifier=AeQualifier.NOTIFICATION if is_push else None,
            authentication=authentication,
        )
        ed_class = options.schema.configuration.device_class if is_push else None
        return MessageTemplate(header, Control(options.security, response), ed_class=ed_class)

    def _response(self, sealed: Sealed, task: Task) -> Response:
        """Return the answer to ``task``, verified. Raises one of `_NO_ANSWERS`."""
        called, name = sealed.header.called, task.node.name
        if called != name and (called is None or called.absolute() != name.absolute()):
            raise _NoAnswerError("another node's answer")
        services = sealed.open(task.node.key).epsem.services
        responses = [decode_response(service) for service in services]
        failed = [response for response in responses if response.code is not ResponseCode.OK]
        weaker = sealed.control.security < self._options.security
        # An error in clear is believed: who found no key or no way has none to protect it with.
        if not responses or (weaker and not failed):
            raise _NoAnswerError("not protected")
        if not failed and len(responses) < len(task.services):
            raise _NoAnswerError("services left unanswered")
        authentication = sealed.header.authentication
        if authentication is not None and task.vector is not None and not weaker:
            self._check_time(authentication.vector, task.vector)
        return failed[0] if failed else responses[0]

    def _check_time(self, vector: int, asked_at: int) -> None:
        """Refuse the answer to another request of the same number: one long ago, or to come.

        Numbers repeat only after the process was started anew, and then no memory would help.
        """
        if self._options.replay is not ReplayRule.OFF:
            check_vector(vector, ReplayRule.WINDOW, last=None, now_s=asked_at)


def _cause(error: Exception) -> str:
    if isinstance(error, WrongMacError):
        return "wrong MAC"
    if isinstance(error, ReplayError):
        return "repeated vector"
    return str(error) if isinstance(error, _NoAnswerError) else "malformed"
