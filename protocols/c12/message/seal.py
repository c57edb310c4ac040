"""A message in and out of its protection, by the rules; `MessageTemplate` makes many alike."""

from __future__ import annotations

from dataclasses import dataclass

from protocols.c12 import ber
from protocols.c12.acse import (
    APDU_TAG,
    CALLED_TAG,
    CALLING_TAG,
    AuthenticationValue,
    Header,
    ReadApdu,
    Spans,
    decode_apdu,
    encode_elements,
    information_header,
)
from protocols.c12.eax_prime import MAC_SIZE, for_key
from protocols.c12.epsem import CODEC as EPSEM_CODEC
from protocols.c12.epsem import Control, Epsem, SecurityMode, decode_content, decode_control
from protocols.c12.message.cleartext import canonical_cleartext
from protocols.c12.options import MESSAGE_OPTIONS, MessageOptions
from protocols.errors import CodecError, LocalProtocolError, RemoteProtocolError


class MissingKeyError(LocalProtocolError):
    """A protected message without a key to protect it or to open it with."""


class MissingVectorError(RemoteProtocolError):
    """A protected message says neither key nor vector, and no session does it for it."""


@dataclass(frozen=True, slots=True)
class Message:
    """A message in clear: who, to whom, in answer to what, and the services."""

    header: Header
    epsem: Epsem


@dataclass(frozen=True, slots=True)
class Sealed:
    """A message of which header and control octet were read, and nothing verified."""

    apdu: ReadApdu
    control: Control
    has_ed_class: bool

    @property
    def header(self) -> Header:
        """The header; to be believed when `open` succeeded in a mode that is not clear."""
        return self.apdu.header

    def open(
        self,
        key: bytes | None,
        *,
        options: MessageOptions = MESSAGE_OPTIONS,
        implied: AuthenticationValue | None = None,
    ) -> Message:
        """Return the message, verified if it is protected at all: see its control.

        ``key`` is not needed for clear messages. ``implied`` stands in for an authentication
        value that the header leaves out, as messages of a session do.

        Raises:
            WrongMacError: see there.
            MissingVectorError: neither the header nor ``implied`` says key and vector.
            MissingKeyError: protected, and ``key`` is none.
            CodecError: the content is malformed.
        """
        content = self.apdu.information[1:]
        if self.control.security is not SecurityMode.CLEAR:
            content = self._unprotect(content, key, self.header.authentication or implied, options)
        epsem = decode_content(self.control, self.has_ed_class, content)
        return Message(self.header, epsem)

    def _unprotect(
        self,
        content: bytes,
        key: bytes | None,
        authentication: AuthenticationValue | None,
        options: MessageOptions,
    ) -> bytes:
        if authentication is None:
            raise MissingVectorError("a protected message without an authentication value")
        if key is None:
            raise MissingKeyError("a protected message and no key")
        if len(content) < MAC_SIZE:
            raise CodecError(f"{len(content)} octets", codec=EPSEM_CODEC, path="mac")
        octets, mac = content[:-MAC_SIZE], content[-MAC_SIZE:]
        cleartext = canonical_cleartext(
            self.apdu.octets, self.header, self.apdu.spans, authentication, options
        )
        cipher = for_key(key)
        if self.control.security is SecurityMode.CIPHERED:
            return cipher.decrypt(cleartext, octets, mac)
        cipher.verify(cleartext, octets, mac)
        return octets


def read_message(octets: bytes) -> Sealed:
    """Return the one message that ``octets`` are; raises `CodecError`, also for a segment."""
    return seal_of(decode_apdu(octets))


def seal_of(apdu: ReadApdu) -> Sealed:
    """Return the message that ``apdu`` is; raises `CodecError`, also for a segment."""
    if apdu.segment is not None:
        raise CodecError("a segment is no message", codec=EPSEM_CODEC)
    if apdu.spans.information_start >= len(apdu.octets):
        raise CodecError("no octet there", codec=EPSEM_CODEC, path="control")
    control, has_ed_class = decode_control(apdu.octets[apdu.spans.information_start])
    return Sealed(apdu, control, has_ed_class)


def encode_message(
    message: Message,
    key: bytes | None = None,
    *,
    options: MessageOptions = MESSAGE_OPTIONS,
    implied: AuthenticationValue | None = None,
) -> bytes:
    """Return ``message`` as an APDU, protected as its control says.

    ``implied`` stands in for an authentication value that the header leaves out.

    Raises:
        CodecError: a field does not fit.
        MissingKeyError: protected, and no key or no authentication value.
    """
    epsem = message.epsem
    content, control = epsem.content(), epsem.control_octet()
    protected = epsem.control.security is not SecurityMode.CLEAR
    header, spans = _encode_header(message.header, 1 + len(content) + MAC_SIZE * protected)
    head = header + bytes((control,))
    mac = b""
    if protected:
        authentication = message.header.authentication or implied
        if key is None or authentication is None:
            raise MissingKeyError("a protected message needs a key and a vector")
        cleartext = canonical_cleartext(head, message.header, spans, authentication, options)
        if epsem.control.security is SecurityMode.CIPHERED:
            content, mac = for_key(key).encrypt(cleartext, content)
        else:
            mac = for_key(key).authenticate(cleartext, content)
    return ber.element(APDU_TAG, b"".join((head, content, mac)))


def _encode_header(header: Header, size: int) -> tuple[bytes, Spans]:
    """Return all elements up to the information of ``size`` octets, and where they are."""
    out = bytearray()
    called, calling = (0, 0), None
    for tag, octets in encode_elements(header):
        if tag == CALLED_TAG:
            called = len(out), len(out) + len(octets)
        elif tag == CALLING_TAG:
            calling = len(out), len(out) + len(octets)
        out += octets
    out += information_header(size)
    return bytes(out), Spans(0, *called, *(calling or (called[1], called[1])), len(out))
