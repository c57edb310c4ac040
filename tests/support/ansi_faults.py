"""Somebody who speaks C12.22 and C12.18 over sockets, octet by octet, and does it wrong."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import trio

from protocols.c12.acse import AuthenticationValue, Header
from protocols.c12.epsem import Control, Epsem, SecurityMode
from protocols.c12.framing import ApduReader
from protocols.c12.message import Message, encode_message, read_message
from protocols.c12.plugin.naming import key_id_of
from protocols.c12.services import (
    Dialect,
    Request,
    ResponseCode,
    decode_response,
    encode_request,
)
from protocols.c12.titles import ApTitle
from protocols.plugin import Credentials

RECEIVE_SIZE: Final = 65_536
ANSWER_S: Final = 10.0
SILENCE_S: Final = 0.15
"""Real seconds after which nothing beyond the answers is expected."""


@dataclass
class Speaker:
    """One end of a connection; ``vector`` is the next message's, POSIX seconds."""

    stream: trio.SocketStream
    vector: int
    invocation: int = 0

    def octets(
        self,
        calling: bytes,
        called: bytes,
        node: Credentials,
        *requests: Request,
        vector: int | None = None,
        key: bytes | None = None,
    ) -> bytes:
        """Return a ciphered message, protected with the key of ``node`` unless told otherwise."""
        self.vector += 1
        self.invocation += 1
        header = Header(
            ApTitle.decode(called),
            ApTitle.decode(calling),
            self.invocation.to_bytes(2, "big"),
            authentication=AuthenticationValue(
                self.vector if vector is None else vector, key_id_of(node.system_title)
            ),
        )
        services = tuple(encode_request(request, Dialect.C12_22) for request in requests)
        message = Message(header, Epsem(services, Control(SecurityMode.CIPHERED)))
        return encode_message(message, key or node.encryption_key)

    async def answers(self, octets: bytes, key: bytes, count: int) -> list[list[ResponseCode]]:
        """Send octets; return the codes of each of ``count`` answers, and of what comes beyond."""
        await self.stream.send_all(octets)
        reader = ApduReader(max_apdu_size=1 << 16)
        found: list[list[ResponseCode]] = []
        while True:
            patience_s = ANSWER_S if len(found) < count else SILENCE_S
            with trio.move_on_after(patience_s) as silence:
                data = await self.stream.receive_some(RECEIVE_SIZE)
            if silence.cancelled_caught or not data:
                return found
            reader.feed(bytes(data))
            while isinstance(apdu := reader.next_apdu(), bytes):
                services = read_message(apdu).open(key).epsem.services
                found.append([decode_response(service).code for service in services])


def flipped(octets: bytes, at: int) -> bytes:
    """Return ``octets`` with one bit of the octet ``at`` flipped."""
    changed = bytearray(octets)
    changed[at] ^= 1
    return bytes(changed)
