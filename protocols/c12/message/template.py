"""Many messages alike: the fixed octets are made once, the rest is put between them.

For notifications above all: one meter writes one table to one host, and only the invocation id,
the vector and the values change. `encode_message` is the judge: a property test holds them equal.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from protocols.c12 import ber
from protocols.c12.acse import (
    APDU_TAG,
    CALLED_TAG,
    CALLING_TAG,
    CODEC,
    Header,
    encode_elements,
    information_header,
)
from protocols.c12.eax_prime import MAC_SIZE, EaxPrime
from protocols.c12.epsem import Control, Epsem, SecurityMode
from protocols.c12.message.cleartext import authentication_tail, title_element
from protocols.c12.message.seal import MissingKeyError
from protocols.c12.options import MESSAGE_OPTIONS, MessageOptions
from protocols.errors import CodecError

_CACHED_SIZES: Final = 4096
_VECTOR_SIZE: Final = 4


class MessageTemplate:
    """Builds messages that share all of ``header`` but invocation ids and vector.

    ``header`` gives titles, qualifier, key id and what else is fixed; its own invocation ids and
    vector are not looked at. Without an authentication value only clear messages can be built.
    """

    __slots__ = (
        "_called",
        "_calling",
        "_canonical",
        "_control",
        "_end",
        "_epsem",
        "_key_id",
        "_mechanism",
        "_qualifier",
    )

    def __init__(
        self,
        header: Header,
        control: Control,
        *,
        ed_class: bytes | None = None,
        options: MessageOptions = MESSAGE_OPTIONS,
    ) -> None:
        elements = dict(encode_elements(header))
        context = elements.get(0xA1, b"")
        self._called = context + elements.get(CALLED_TAG, b"")
        self._canonical = context + title_element(CALLED_TAG, header.called, options.base)
        self._calling = elements.get(CALLING_TAG, b"")
        self._qualifier = elements.get(0xA7, b"")
        self._mechanism = elements.get(0x8B, b"")
        # All of the authentication value but the vector, which ends it.
        self._key_id = elements.get(0xAC, b"")[:-_VECTOR_SIZE]
        self._epsem = Epsem((), control, ed_class)
        self._control = bytes((self._epsem.control_octet(),))
        self._end = title_element(CALLING_TAG, header.calling, options.base)
        if header.authentication is not None:
            self._end += authentication_tail(header.authentication, options)[:-_VECTOR_SIZE]

    def build(
        self,
        services: tuple[bytes, ...],
        invocation: bytes,
        vector: int | None = None,
        key: EaxPrime | None = None,
        *,
        answers: bytes | None = None,
    ) -> bytes:
        """Return the message; ``invocation`` is 1..4 octets, ``vector`` a u32.

        ``answers`` is the invocation id (1..4 octets) of the request that it answers, if any.
        ``key`` and ``vector`` are needed unless the control says clear: `MissingKeyError`. Raises
        `CodecError` for what does not fit.
        """
        mode = self._epsem.control.security
        content = Epsem(services, self._epsem.control, self._epsem.ed_class).content()
        answered = b"" if answers is None else _invocation(0xA4, "called", answers)
        after = self._qualifier + _invocation(0xA8, "calling", invocation) + self._mechanism
        if self._key_id:
            after += self._key_id + _vector(vector)
        size = 1 + len(content) + (MAC_SIZE if mode else 0)
        after += _information_header(size) + self._control
        if mode is SecurityMode.CLEAR:
            mac = b""
        else:
            if key is None or not self._key_id:
                raise MissingKeyError("a protected message needs a key and a vector")
            cleartext = b"".join((self._canonical, answered, after, self._end, _vector(vector)))
            if mode is SecurityMode.CIPHERED:
                content, mac = key.encrypt(cleartext, content)
            else:
                mac = key.authenticate(cleartext, content)
        whole = b"".join((self._called, answered, self._calling, after, content, mac))
        return ber.element(APDU_TAG, whole)


def _vector(vector: int | None) -> bytes:
    if vector is None:
        raise MissingKeyError("a message of this header needs a vector")
    if not 0 <= vector <= 0xFFFF_FFFF:
        raise CodecError(f"{vector} in 32 bits", codec=CODEC, path="authentication")
    return vector.to_bytes(_VECTOR_SIZE, "big")


def _invocation(tag: int, whose: str, octets: bytes) -> bytes:
    size = len(octets)
    if not 1 <= size <= ber.MAX_INTEGER_SIZE:
        raise CodecError(f"{size} octets", codec=CODEC, path=f"{whose}_invocation")
    return bytes((tag, size + 2, ber.INTEGER, size)) + octets


_information_header = lru_cache(_CACHED_SIZES)(information_header)
