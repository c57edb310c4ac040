"""Suite 0: the Green Book's worked examples, RFC 3394, tampering, counters."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.dlms.security import (
    AUTHENTICATED,
    AUTHENTICATED_AND_ENCRYPTED,
    ENCRYPTED,
    DecipherError,
    ReceiveCounter,
    ReplayError,
    SecurityControl,
    SecurityError,
    SecurityHeader,
    SecurityKeys,
    SecurityPolicyError,
    SendCounter,
    TruncatedError,
    UnsupportedSuiteError,
    gmac,
    protect,
    read_header,
    unprotect,
    unwrap_key,
    verify_gmac,
    wrap_key,
)
from protocols.errors import CodecError, LocalProtocolError, RemoteProtocolError

# Green Book 9.2.7.2.4.6, "Example for ciphered APDUs": keys, title and counter of the example.
EK = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
AK = bytes.fromhex("d0d1d2d3d4d5d6d7d8d9dadbdcdddedf")
TITLE = bytes.fromhex("4d4d4d0000bc614e")
COUNTER = 0x01234567
GET = bytes.fromhex("c0010000080000010000ff0200")
INITIATE = bytes.fromhex("01011000112233445566778899aabbccddeeff0000065f1f0400007e1f04b0")

PUBLISHED = [
    pytest.param(
        AUTHENTICATED,
        GET,
        # SC counter  get-request                  tag
        "10 01234567 c0010000080000010000ff0200 06725d910f9221d263877516",
        id="get-authenticated",
    ),
    pytest.param(ENCRYPTED, GET, "20 01234567 411312ff935a47566827c467bc", id="get-encrypted"),
    pytest.param(
        AUTHENTICATED_AND_ENCRYPTED,
        GET,
        "30 01234567 411312ff935a47566827c467bc 7d825c3be4a77c3fcc056b6b",
        id="get-authenticated-and-encrypted",
    ),
    pytest.param(
        AUTHENTICATED_AND_ENCRYPTED,
        INITIATE,
        "30 01234567 801302ff8a7874133d414ced25b42534d28db0047720606b175bd52211be68"
        "41db204d39ee6fdb8e356855",
        id="initiate-authenticated-and-encrypted",
    ),
]
CONTROLS = st.sampled_from([AUTHENTICATED, ENCRYPTED, AUTHENTICATED_AND_ENCRYPTED])


@pytest.mark.parametrize(("control", "plaintext", "content"), PUBLISHED)
def test_published_example(control: SecurityControl, plaintext: bytes, content: str) -> None:
    expected = bytes.fromhex(content)
    assert protect(EK, AK, TITLE, COUNTER, control, plaintext) == expected
    assert unprotect(EK, AK, TITLE, expected) == (SecurityHeader(control, COUNTER), plaintext)


@given(st.binary(max_size=80), st.integers(0, 2**32 - 1), CONTROLS)
def test_roundtrip(plaintext: bytes, counter: int, control: SecurityControl) -> None:
    content = protect(EK, AK, TITLE, counter, control, plaintext)
    assert unprotect(EK, AK, TITLE, content) == (SecurityHeader(control, counter), plaintext)


@given(st.binary(min_size=1, max_size=40), st.data())
def test_any_changed_bit_is_noticed(plaintext: bytes, data: st.DataObject) -> None:
    content = bytearray(protect(EK, AK, TITLE, 7, AUTHENTICATED_AND_ENCRYPTED, plaintext))
    bit = data.draw(st.integers(0, 8 * len(content) - 1))
    content[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SecurityError):
        unprotect(EK, AK, TITLE, bytes(content), required=AUTHENTICATED_AND_ENCRYPTED)


@pytest.mark.parametrize("control", [AUTHENTICATED, AUTHENTICATED_AND_ENCRYPTED])
@pytest.mark.parametrize(
    ("key", "authentication_key", "title"),
    [
        (bytes(16), AK, TITLE),
        (EK, bytes(16), TITLE),
        (EK, AK, b"MSC\x00\x00\x00\x00\x01"),
    ],
    ids=["key", "authentication-key", "system-title"],
)
def test_the_wrong_key_or_sender_is_refused(
    control: SecurityControl, key: bytes, authentication_key: bytes, title: bytes
) -> None:
    content = protect(EK, AK, TITLE, 1, control, GET)
    with pytest.raises(DecipherError):
        unprotect(key, authentication_key, title, content)


@pytest.mark.parametrize("control", [AUTHENTICATED, AUTHENTICATED_AND_ENCRYPTED])
def test_every_truncation_is_refused(control: SecurityControl) -> None:
    content = protect(EK, AK, TITLE, 1, control, GET)
    for cut in range(len(content)):
        with pytest.raises(TruncatedError if cut < 17 else DecipherError):
            unprotect(EK, AK, TITLE, content[:cut])


def test_encryption_alone_authenticates_nothing() -> None:
    # Green Book 9.2.7.2: the receiver of encrypted-only APDUs cannot tell; policy must.
    content = protect(EK, AK, TITLE, 1, ENCRYPTED, GET)
    changed = content[:-1] + bytes((content[-1] ^ 1,))
    assert unprotect(EK, AK, TITLE, changed)[1] == GET[:-1] + b"\x01"


@pytest.mark.parametrize(
    ("sent", "required"),
    [
        (AUTHENTICATED, AUTHENTICATED_AND_ENCRYPTED),
        (ENCRYPTED, AUTHENTICATED_AND_ENCRYPTED),
        (ENCRYPTED, AUTHENTICATED),
    ],
)
def test_less_than_required_is_refused(sent: SecurityControl, required: SecurityControl) -> None:
    content = protect(EK, AK, TITLE, 1, sent, GET)
    with pytest.raises(SecurityPolicyError):
        unprotect(EK, AK, TITLE, content, required=required)


def test_more_than_required_is_taken() -> None:
    content = protect(EK, AK, TITLE, 1, AUTHENTICATED_AND_ENCRYPTED, GET)
    assert unprotect(EK, AK, TITLE, content, required=AUTHENTICATED)[1] == GET


def test_a_ciphered_apdu_must_be_protected() -> None:
    with pytest.raises(SecurityPolicyError):
        unprotect(EK, AK, TITLE, bytes.fromhex("00 00000001") + GET)
    with pytest.raises(LocalProtocolError):
        protect(EK, AK, TITLE, 1, SecurityControl(False, False), GET)


@pytest.mark.parametrize("octet", [0x31, 0x32, 0x3F, 0x70, 0xB0])
def test_other_suites_key_sets_and_compression_are_refused(octet: int) -> None:
    control = SecurityControl.from_octet(octet)
    assert control.to_octet() == octet
    with pytest.raises(UnsupportedSuiteError):
        unprotect(EK, AK, TITLE, bytes((octet,)) + bytes(40))
    with pytest.raises(LocalProtocolError):
        protect(EK, AK, TITLE, 1, control, GET)


@given(st.binary(max_size=60), st.sampled_from([0x10, 0x20, 0x30]))
def test_garbage_raises_only_remote_protocol_errors(garbage: bytes, octet: int) -> None:
    for content in (garbage, bytes((octet,)) + garbage):
        with suppress(RemoteProtocolError):
            unprotect(EK, AK, TITLE, content)


@pytest.mark.parametrize(
    ("key", "title", "counter", "path"),
    [
        (bytes(15), TITLE, 1, "key"),
        (EK, b"short", 1, "system_title"),
        (EK, TITLE, 2**32, "invocation_counter"),
        (EK, TITLE, -1, "invocation_counter"),
    ],
)
def test_our_own_mistakes_name_the_field(key: bytes, title: bytes, counter: int, path: str) -> None:
    with pytest.raises(CodecError) as caught:
        protect(key, AK, title, counter, AUTHENTICATED, GET)
    assert caught.value.path == path


def test_a_suite_has_four_bits() -> None:
    with pytest.raises(CodecError):
        SecurityControl(suite=16).to_octet()


def test_a_header_says_so_before_anything_is_deciphered() -> None:
    header = read_header(bytes.fromhex("30 00000009"))
    assert header == SecurityHeader(AUTHENTICATED_AND_ENCRYPTED, 9)
    with pytest.raises(TruncatedError):
        read_header(bytes(4))


# HLS mechanism 5, Green Book 9.2.7.4, table "HLS example using authentication-mechanism 5".

CLIENT_TITLE = bytes.fromhex("4d4d4d0000000001")
PASSES = [
    pytest.param(CLIENT_TITLE, 1, b"P6wRJ21F", "10 00000001 1a52fe7dd3e72748973c1e28", id="pass-3"),
    pytest.param(TITLE, COUNTER, b"K56iVagY", "10 01234567 fe1466afb3dbcd4f9389e2b7", id="pass-4"),
]


@pytest.mark.parametrize(("title", "counter", "challenge", "answer"), PASSES)
def test_published_gmac(title: bytes, counter: int, challenge: bytes, answer: str) -> None:
    expected = bytes.fromhex(answer)
    assert gmac(EK, AK, title, counter, challenge) == expected
    assert verify_gmac(EK, AK, title, challenge, expected) == counter


@given(st.data())
def test_a_changed_answer_is_refused(data: st.DataObject) -> None:
    answer = bytearray(gmac(EK, AK, TITLE, 5, bytes(16)))
    bit = data.draw(st.integers(0, 8 * len(answer) - 1))
    answer[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SecurityError):
        verify_gmac(EK, AK, TITLE, bytes(16), bytes(answer))


def test_an_answer_to_another_challenge_or_of_another_size_is_refused() -> None:
    answer = gmac(EK, AK, TITLE, 5, bytes(16))
    with pytest.raises(DecipherError):
        verify_gmac(EK, AK, TITLE, b"another challenge", answer)
    with pytest.raises(TruncatedError):
        verify_gmac(EK, AK, TITLE, bytes(16), answer[:-1])


# Counters.


def test_a_send_counter_gives_each_value_once_and_never_wraps() -> None:
    counter = SendCounter(2**32 - 3)
    assert [counter.take(), counter.take()] == [2**32 - 3, 2**32 - 2]
    for _ in range(2):
        with pytest.raises(LocalProtocolError, match="used up"):
            counter.take()
    assert counter.next_value == 2**32 - 1


@pytest.mark.parametrize("value", [-1, 2**32])
def test_a_send_counter_has_32_bits(value: int) -> None:
    with pytest.raises(LocalProtocolError):
        SendCounter(value)


def test_checking_changes_nothing_until_accepted() -> None:
    counter = ReceiveCounter()
    counter.check(5)
    counter.check(5)
    counter.accept(5)
    for old in (0, 4, 5):
        with pytest.raises(ReplayError) as caught:
            counter.check(old)
        assert (caught.value.received, caught.value.lowest_acceptable) == (old, 6)
    with pytest.raises(ReplayError):
        counter.accept(5)
    assert counter.last_accepted == 5
    counter.accept(6)


@pytest.mark.parametrize("zero_acceptable", [True, False])
def test_whether_zero_may_come_first_is_a_switch(zero_acceptable: bool) -> None:
    counter = ReceiveCounter(zero_acceptable=zero_acceptable)
    if zero_acceptable:
        counter.check(0)
    else:
        with pytest.raises(ReplayError):
            counter.check(0)
    counter.check(1)


@given(st.lists(st.integers(0, 50)))
def test_no_counter_is_accepted_twice(counters: list[int]) -> None:
    receiver, accepted = ReceiveCounter(), []
    for counter in counters:
        try:
            receiver.accept(counter)
        except ReplayError:
            continue
        accepted.append(counter)
    assert accepted == sorted(set(accepted))


# Keys.


def test_keys_do_not_show() -> None:
    keys = SecurityKeys(EK, AK)
    assert EK.hex() not in repr(keys) + str(keys)
    assert repr(EK)[2:-1] not in repr(keys)
    assert keys == SecurityKeys(EK, AK)


def test_key_wrap_of_rfc_3394() -> None:
    # RFC 3394, 4.1: 128 bits of key data with a 128-bit key
    kek = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    key = bytes.fromhex("00112233445566778899aabbccddeeff")
    wrapped = bytes.fromhex("1fa68b0a8112b447aef34bd8fb5a7b829d3e862371d2cfe5")
    assert wrap_key(kek, key) == wrapped
    assert unwrap_key(kek, wrapped) == key
    for bad in (wrapped[:-1], bytes(24), b""):
        with pytest.raises(DecipherError):
            unwrap_key(kek, bad)
