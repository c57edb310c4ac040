"""High level security at the client: the answer to the server's challenge, and its own proof."""

from __future__ import annotations

from protocols.dlms.apdu import ActionRequestNormal, ActionResult
from protocols.dlms.ciphering import Cipher
from protocols.dlms.client.events import ActionAnswer, ClientEvent
from protocols.dlms.data import Data, octet_string
from protocols.dlms.hls import REPLY_TO_HLS
from protocols.dlms.security import SecurityError


def third_pass(invoke: int, cipher: Cipher, theirs: bytes) -> ActionRequestNormal:
    """Return the request that answers the server's challenge."""
    return ActionRequestNormal(invoke, REPLY_TO_HLS, octet_string(cipher.answer(theirs)))


def missing_proof(fourth_pass: ClientEvent, cipher: Cipher, ours: bytes) -> str | None:
    """Return why the server has not answered our challenge; ``None``: it has."""
    match fourth_pass:
        case ActionAnswer(result=ActionResult.SUCCESS, returned=returned):
            try:
                cipher.check_answer(ours, _octets(returned))
            except SecurityError as problem:
                return f"the server did not prove itself: {problem}"
            return None
    return "the server did not take our answer"


def _octets(returned: object) -> bytes:
    match returned:
        case Data(value=bytes(octets)):
            return octets
    return b""
