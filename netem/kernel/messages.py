"""Traffic control by the thousand: messages encoded once, sent in bulk.

pyroute2 encodes one message per kind of class or leaf; what differs between the concentrators of a
link class (handle, parent, seed) is patched into copies, and many copies go to the kernel in one
system call. That takes microseconds for each where a request of its own takes half a millisecond.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Sequence
from typing import Any, Final

from pyroute2.netlink import (
    NLM_F_ACK,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REQUEST,
    NLMSG_DONE,
    NLMSG_ERROR,
)
from pyroute2.netlink.rtnl import RTM_GETTCLASS, RTM_NEWQDISC, RTM_NEWTCLASS
from pyroute2.netlink.rtnl.tcmsg import tcmsg

from netem.kernel.discipline import NetemOptions
from netem.namespaces import Namespace

SEED_OCTETS: Final = 8
_CREATE: Final = NLM_F_CREATE | NLM_F_EXCL
_HEADER: Final = struct.Struct("=IHHII")
_TARGET: Final = struct.Struct("=iII")
_TARGET_AT: Final = _HEADER.size + 4
_CHUNK_OCTETS: Final = 128 * 1024
_RECEIVE_OCTETS: Final = 64 * 1024
_SOL_NETLINK: Final = 270
_NETLINK_CAP_ACK: Final = 10
_NETLINK_EXT_ACK: Final = 11
_REFUSED_WITHOUT_REQUEST: Final = 0x100
_HAS_TEXT: Final = 0x200
_TEXT_ATTRIBUTE: Final = 1


class _TrafficMessage(tcmsg):  # type: ignore[misc]
    """A ``tcmsg`` that knows all of netem's options, without a change to pyroute2's tables."""

    def get_plugin(self, plug: str, *argv: Any, **kwarg: Any) -> Any:  # noqa: ANN401
        if plug == "options" and self.get_attr("TCA_KIND") == "netem":
            return NetemOptions
        return super().get_plugin(plug, *argv, **kwarg)


class Template:
    """One message, to be sent with many handles, parents and seeds.

    Args:
        what: ``qdisc`` or ``class``.
        kind: of discipline, such as ``netem``.
        options: its options, as pyroute2 encodes them.
        create: make it; without this, change one that is there.
        seeded: add the seed attribute (netem only).
    """

    def __init__(
        self, what: str, kind: str, options: dict[str, Any], *, create: bool, seeded: bool = False
    ) -> None:
        if seeded:
            # The last attribute, so that the seed is the last octets of the message.
            attributes = [*options["attrs"], ["TCA_NETEM_PRNG_SEED", 0]]
            options = options | {"attrs": attributes}
        message = _TrafficMessage()
        message["header"]["type"] = RTM_NEWQDISC if what == "qdisc" else RTM_NEWTCLASS
        message["header"]["flags"] = NLM_F_REQUEST | NLM_F_ACK | (_CREATE if create else 0)
        message["family"] = socket.AF_UNSPEC
        message["attrs"] = [["TCA_KIND", kind], ["TCA_OPTIONS", options]]
        message.encode()
        self._octets = bytes(message.data)
        self._seeded = seeded

    def filled(self, index: int, handle: int, parent: int, seed: int = 0) -> bytearray:
        """Return the message for one place of the interface with this index."""
        octets = bytearray(self._octets)
        _TARGET.pack_into(octets, _TARGET_AT, index, handle, parent)
        if self._seeded:
            octets[-SEED_OCTETS:] = seed.to_bytes(SEED_OCTETS, "little")
        return octets


class RefusedError(Exception):
    """The kernel refused a message; ``number`` is its errno."""

    def __init__(self, number: int, text: str) -> None:
        self.number = number
        super().__init__(text or os.strerror(number))


def send_all(namespace: Namespace, messages: Iterable[bytearray]) -> int:
    """Send traffic control messages to ``namespace`` in bulk, and return how many there were.

    Raises:
        RefusedError: the kernel refused one; those before it, and some after it, are done.
    """
    with _route_socket(namespace) as sock:
        sent = 0
        chunk: list[bytearray] = []
        size = 0
        for message in messages:
            if size + len(message) > _CHUNK_OCTETS and chunk:
                sent += _send_chunk(sock, chunk)
                chunk, size = [], 0
            chunk.append(message)
            size += len(message)
        return sent + (_send_chunk(sock, chunk) if chunk else 0)


def classes_below(namespace: Namespace, index: int, parent: int) -> Sequence[Any]:
    """Return the classes of one queueing discipline, and none of those further down.

    pyroute2's own dump takes no parent, and there may be a hundred thousand further down.

    Raises:
        RefusedError: there is no such interface.
    """
    request = tcmsg()
    request["header"]["type"] = RTM_GETTCLASS
    request["header"]["flags"] = NLM_F_REQUEST | NLM_F_DUMP
    request["index"], request["parent"] = index, parent
    request.encode()
    found: list[Any] = []
    with _route_socket(namespace) as sock:
        sock.send(request.data)
        while True:
            octets = sock.recv(_RECEIVE_OCTETS)
            for at, length, kind in _parts(octets):
                if kind == NLMSG_DONE:
                    return found
                if kind == NLMSG_ERROR:
                    (error,) = struct.unpack_from("=i", octets, at + _HEADER.size)
                    raise RefusedError(-error, "")
                one = tcmsg(octets[at : at + length])
                one.decode()
                found.append(one)


def _route_socket(namespace: Namespace) -> socket.socket:
    with namespace.entered():
        sock = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    sock.setsockopt(_SOL_NETLINK, _NETLINK_CAP_ACK, 1)
    sock.setsockopt(_SOL_NETLINK, _NETLINK_EXT_ACK, 1)
    sock.bind((0, 0))
    return sock


def _parts(octets: bytes) -> Iterable[tuple[int, int, int]]:
    """Yield place, length and type of each message received together."""
    at = 0
    while at + _HEADER.size <= len(octets):
        length, kind, *_ = _HEADER.unpack_from(octets, at)
        yield at, length, kind
        at += (length + 3) & ~3


def _send_chunk(sock: socket.socket, chunk: list[bytearray]) -> int:
    """Send messages together; only the last asks for an answer, refusals come unasked."""
    for number, message in enumerate(chunk, start=1):
        _, kind, flags, _, _ = _HEADER.unpack_from(message)
        if number < len(chunk):
            flags &= ~NLM_F_ACK
        _HEADER.pack_into(message, 0, len(message), kind, flags, number, 0)
    sock.send(b"".join(chunk))
    while True:
        for sequence, error, text in _answers(sock.recv(_RECEIVE_OCTETS)):
            if error:
                raise RefusedError(error, text)
            if sequence == len(chunk):
                return len(chunk)


def _answers(octets: bytes) -> Iterable[tuple[int, int, str]]:
    """Yield sequence number, errno and the kernel's words of each answer."""
    for at, length, kind in _parts(octets):
        if kind == NLMSG_ERROR:
            _, _, flags, sequence, _ = _HEADER.unpack_from(octets, at)
            (error,) = struct.unpack_from("=i", octets, at + _HEADER.size)
            yield sequence, -error, _words(octets[at : at + length], flags)


def _words(answer: bytes, flags: int) -> str:
    """Return the text the kernel gives with a refusal, if it does."""
    if not flags & _HAS_TEXT:
        return ""
    at = _HEADER.size + 4 + _HEADER.size
    if not flags & _REFUSED_WITHOUT_REQUEST:
        (request_length,) = struct.unpack_from("=I", answer, _HEADER.size + 4)
        at += ((request_length + 3) & ~3) - _HEADER.size
    while at + 4 <= len(answer):
        length, kind = struct.unpack_from("=HH", answer, at)
        if kind == _TEXT_ATTRIBUTE:
            return answer[at + 4 : at + length].rstrip(b"\0").decode(errors="replace")
        at += (max(length, 4) + 3) & ~3
    return ""
