"""Whole messages: byte-exact in each security mode, tampering, templates, switches."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from protocols.c12.acse import (
    AeQualifier,
    AuthenticationValue,
    Header,
    SegmentPosition,
    encode_apdu,
)
from protocols.c12.eax_prime import WrongMacError, for_key
from protocols.c12.epsem import Control, Epsem, ResponseControl, SecurityMode
from protocols.c12.message import (
    Message,
    MessageTemplate,
    MissingKeyError,
    MissingVectorError,
    encode_message,
    read_message,
)
from protocols.c12.options import MessageOptions
from protocols.c12.titles import ApTitle, head_end_title, meter_title
from protocols.errors import CodecError, ProtocolError
from tests.support.c12_messages import KEY, messages

PUBLISHED_KEY = bytes.fromhex("01020304050607080102030405060708")

# The first message of "EAX' Cipher Mode" (2011), put together from its N and C: a notification.
PUBLISHED = bytes.fromhex(
    "60 53"
    "  a2 0c 06 0a 60 7c 86 f7 54 01 16 00 17 02"
    "  a6 0d 06 0b 60 7c 86 f7 54 01 16 00 17 82 11"
    "  a7 03 02 01 04"
    "  a8 03 02 01 02"
    "  ac 0f a2 0d a0 0b a1 09 80 01 02 81 04 48 e9 93 88"
    "  be 19 28 17 81 15 9a"
    "    40 31 cc 95 7d 4e df 9a 35 7f 3d b0 fa 9f e8 38"  # ed-class and write, ciphered
    "    65 55 c0 29"
)
PUBLISHED_MESSAGE = Message(
    Header(
        ApTitle.parse("2.16.124.113620.1.22.0.23.2"),
        ApTitle.parse("2.16.124.113620.1.22.0.23.273"),
        b"\x02",
        qualifier=AeQualifier.NOTIFICATION,
        authentication=AuthenticationValue(0x48E99388, 2),
    ),
    Epsem(
        (bytes.fromhex("40 0007 0005 1a00000200 e4"),),
        Control(SecurityMode.CIPHERED, ResponseControl.NEVER),
        b"TEMP",
    ),
)


def test_the_published_message() -> None:
    assert encode_message(PUBLISHED_MESSAGE, PUBLISHED_KEY) == PUBLISHED
    assert read_message(PUBLISHED).open(PUBLISHED_KEY) == PUBLISHED_MESSAGE


def test_relative_titles_are_authenticated_as_absolute_ones() -> None:
    header = PUBLISHED_MESSAGE.header
    assert header.called is not None
    assert header.calling is not None
    relative = replace(
        header, called=header.called.relative_to(), calling=header.calling.relative_to()
    )
    octets = encode_message(Message(relative, PUBLISHED_MESSAGE.epsem), PUBLISHED_KEY)
    assert len(octets) == len(PUBLISHED) - 2 * 8
    # Same N, so the same ciphertext and MAC.
    assert octets[-20:] == PUBLISHED[-20:]


IDENTIFY = Header(
    ApTitle.parse(".2.1"),
    ApTitle.parse(".3.1"),
    b"\x01",
    authentication=AuthenticationValue(0x65000000, 1),
)


def test_clear_message() -> None:
    clear = Message(replace(IDENTIFY, authentication=None), Epsem((b"\x20",)))
    octets = bytes.fromhex(
        "60 1a  a2 04 80 02 02 01  a6 04 80 02 03 01  a8 03 02 01 01  be 07 28 05 81 03 80 01 20"
    )
    assert encode_message(clear) == octets
    assert read_message(octets).open(None) == clear


def test_authenticated_message() -> None:
    message = Message(IDENTIFY, Epsem((b"\x20",), Control(SecurityMode.AUTHENTICATED)))
    octets = encode_message(message, KEY)
    assert octets[:-4] == bytes.fromhex(
        "60 2f  a2 04 80 02 02 01  a6 04 80 02 03 01  a8 03 02 01 01"
        "  ac 0f a2 0d a0 0b a1 09 80 01 01 81 04 65 00 00 00"
        "  be 0b 28 09 81 07 84 01 20"
    )
    cleartext = bytes.fromhex(
        "a2 0c 06 0a 60 7c 86 f7 54 01 16 00 02 01  a8 03 02 01 01"
        "  ac 0f a2 0d a0 0b a1 09 80 01 01 81 04 65 00 00 00"
        "  be 0b 28 09 81 07 84"
        "  a6 0c 06 0a 60 7c 86 f7 54 01 16 00 03 01  01  65 00 00 00"
    )
    assert octets[-4:] == for_key(KEY).authenticate(cleartext, b"\x01\x20")
    assert read_message(octets).open(KEY) == message


@given(messages)
def test_round_trip(message: Message) -> None:
    assert read_message(encode_message(message, KEY)).open(KEY) == message


@given(messages, st.data())
def test_any_changed_octet_of_a_protected_message_is_refused(
    message: Message, data: st.DataObject
) -> None:
    assume(message.epsem.control.security is not SecurityMode.CLEAR)
    octets = bytearray(encode_message(message, KEY))
    octets[data.draw(st.integers(0, len(octets) - 1))] ^= data.draw(st.integers(1, 255))
    try:
        sealed = read_message(bytes(octets))
        opened = sealed.open(KEY)
    except ProtocolError:
        return
    # Two bits say "clear": then nothing was verified, and the message does not claim it was.
    assert opened.epsem.control.security is SecurityMode.CLEAR


@given(messages)
def test_another_key_opens_nothing(message: Message) -> None:
    assume(message.epsem.control.security is not SecurityMode.CLEAR)
    with pytest.raises(WrongMacError):
        read_message(encode_message(message, KEY)).open(bytes(16))


@given(messages, st.integers(0, 2**32 - 1), st.binary(min_size=1, max_size=4))
def test_a_template_builds_what_the_general_way_builds(
    message: Message, vector: int, invocation: bytes
) -> None:
    authentication = message.header.authentication
    assert authentication is not None
    template = MessageTemplate(
        message.header, message.epsem.control, ed_class=message.epsem.ed_class
    )
    header = replace(
        message.header,
        calling_invocation=invocation,
        authentication=replace(authentication, vector=vector),
    )
    expected = encode_message(Message(header, message.epsem), KEY)
    built = template.build(
        message.epsem.services,
        invocation,
        vector,
        for_key(KEY),
        answers=message.header.called_invocation,
    )
    assert built == expected


def test_a_template_in_clear() -> None:
    header = Header(head_end_title(0), meter_title(0), b"\x01")
    built = MessageTemplate(header, Control()).build((b"\x20",), b"\x02")
    expected = Message(replace(header, calling_invocation=b"\x02"), Epsem((b"\x20",)))
    assert built == encode_message(expected)


def test_a_template_refuses_what_does_not_fit() -> None:
    clear = MessageTemplate(Header(None, None, b"\x01"), Control())
    with pytest.raises(CodecError, match="calling_invocation"):
        clear.build((), b"")
    protected = MessageTemplate(IDENTIFY, Control(SecurityMode.CIPHERED))
    with pytest.raises(CodecError, match="authentication"):
        protected.build((), b"\x01", 1 << 32, for_key(KEY))
    with pytest.raises(MissingKeyError):
        protected.build((), b"\x01", 1)
    with pytest.raises(MissingKeyError):
        protected.build((), b"\x01", key=for_key(KEY))
    with pytest.raises(MissingKeyError):
        MessageTemplate(Header(None, None, b"\x01"), Control(SecurityMode.CIPHERED)).build(
            (), b"\x01", 1, for_key(KEY)
        )


def test_a_session_implies_key_and_vector() -> None:
    implied = AuthenticationValue(7, 1)
    header = replace(IDENTIFY, authentication=None)
    message = Message(header, Epsem((b"\x20",), Control(SecurityMode.CIPHERED)))
    octets = encode_message(message, KEY, implied=implied)
    assert b"\xac" not in octets[:20]
    assert read_message(octets).open(KEY, implied=implied) == message
    with pytest.raises(WrongMacError):
        read_message(octets).open(KEY, implied=AuthenticationValue(8, 1))
    with pytest.raises(MissingVectorError):
        read_message(octets).open(KEY)


def test_the_header_goes_before_what_is_implied() -> None:
    message = Message(IDENTIFY, Epsem((b"\x20",), Control(SecurityMode.AUTHENTICATED)))
    octets = encode_message(message, KEY, implied=AuthenticationValue(9, 9))
    assert octets == encode_message(message, KEY)
    assert read_message(octets).open(KEY, implied=AuthenticationValue(9, 9)) == message


def test_an_absent_key_id_is_a_switch() -> None:
    header = replace(IDENTIFY, authentication=AuthenticationValue(5))
    message = Message(header, Epsem((b"\x20",), Control(SecurityMode.AUTHENTICATED)))
    as_zero = MessageOptions(zero_for_absent_key_id=True)
    octets = encode_message(message, KEY)
    assert octets[:-4] == encode_message(message, KEY, options=as_zero)[:-4]
    with pytest.raises(WrongMacError):
        read_message(octets).open(KEY, options=as_zero)
    again = encode_message(message, KEY, options=as_zero)
    assert read_message(again).open(KEY, options=as_zero) == message


def test_relative_titles_count_from_the_base_of_the_network() -> None:
    elsewhere = MessageOptions(base=ApTitle.parse("2.16.124.113620.1.22.0.99"))
    message = Message(IDENTIFY, Epsem((b"\x20",), Control(SecurityMode.AUTHENTICATED)))
    octets = encode_message(message, KEY, options=elsewhere)
    assert read_message(octets).open(KEY, options=elsewhere) == message
    with pytest.raises(WrongMacError):
        read_message(octets).open(KEY)


def test_protection_needs_a_key() -> None:
    message = Message(IDENTIFY, Epsem((b"\x20",), Control(SecurityMode.AUTHENTICATED)))
    with pytest.raises(MissingKeyError):
        encode_message(message)
    with pytest.raises(MissingKeyError):
        read_message(encode_message(message, KEY)).open(None)


def test_too_short_for_its_mac() -> None:
    octets = encode_apdu(IDENTIFY, b"\x84\x01\x02\x03")
    with pytest.raises(CodecError, match="mac"):
        read_message(octets).open(KEY)


@pytest.mark.parametrize("segment", [None, SegmentPosition(100, 0)])
def test_neither_a_segment_nor_nothing_is_a_message(segment: SegmentPosition | None) -> None:
    with pytest.raises(CodecError):
        read_message(encode_apdu(IDENTIFY, b"", segment))
