"""Whole C12.22 messages: build and protect, parse and verify.

::

    octets = encode_message(message, key)
    sealed = read_message(octets)              # header and control octet; nothing verified yet
    message = sealed.open(key)                 # raises WrongMacError
"""

from protocols.c12.message.cleartext import canonical_cleartext
from protocols.c12.message.seal import (
    Message,
    MissingKeyError,
    MissingVectorError,
    Sealed,
    encode_message,
    read_message,
    seal_of,
)
from protocols.c12.message.template import MessageTemplate

__all__ = [
    "Message",
    "MessageTemplate",
    "MissingKeyError",
    "MissingVectorError",
    "Sealed",
    "canonical_cleartext",
    "encode_message",
    "read_message",
    "seal_of",
]
