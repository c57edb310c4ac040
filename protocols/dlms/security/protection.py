"""Protecting APDUs with suite 0: AES-128-GCM, tags of 12 octets.

Source: IEC 62056-5-3 (Green Book 9.2.7.2). Content of a ciphered APDU::

    security control | invocation counter (u32) | octets, ciphered or clear | tag (12)

Initialization vector: system title of the sender (8) || invocation counter (4).
Additional authenticated data: security control || authentication key [|| octets when clear].
"""

from __future__ import annotations

import hmac
from functools import lru_cache
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from protocols.dlms.security.counters import MAX_COUNTER
from protocols.dlms.security.errors import (
    DecipherError,
    SecurityPolicyError,
    TruncatedError,
    UnsupportedSuiteError,
)
from protocols.dlms.security.header import (
    AUTHENTICATED,
    HEADER,
    SecurityControl,
    SecurityHeader,
    read_header,
)
from protocols.dlms.security.suites import SUITES, SYSTEM_TITLE_SIZE
from protocols.errors import CodecError, LocalProtocolError

TAG_SIZE: Final = SUITES[0].tag_size
_CACHED_KEYS: Final = 4096


def protect(
    key: bytes,
    authentication_key: bytes,
    system_title: bytes,
    invocation_counter: int,
    control: SecurityControl,
    plaintext: bytes,
) -> bytes:
    """Return the content of a ciphered APDU: security header, octets, tag.

    ``system_title`` is the sender's (8 octets). Never use a counter twice under one key: that
    gives the key stream away (`SendCounter` sees to it).

    Raises:
        LocalProtocolError: neither authentication nor encryption, or a suite not spoken here.
        CodecError: a key, title or counter of the wrong size.
    """
    _require_supported(control, LocalProtocolError)
    _check_sizes(key, system_title, invocation_counter)
    octet = control.to_octet()
    header = HEADER.pack(octet, invocation_counter)
    nonce = system_title + header[1:]
    aad = header[:1] + authentication_key
    if not control.encryption:
        return header + plaintext + _tag(key, nonce, aad + plaintext)
    if control.authentication:
        sealed = _aead(key).encrypt(nonce, plaintext, aad)
        return header + sealed[: len(plaintext) + TAG_SIZE]
    return header + _aead(key).encrypt(nonce, plaintext, None)[: len(plaintext)]


def unprotect(
    key: bytes,
    authentication_key: bytes,
    system_title: bytes,
    content: bytes,
    *,
    required: SecurityControl | None = None,
) -> tuple[SecurityHeader, bytes]:
    """Return what ``content`` says about itself and the APDU inside.

    ``system_title`` is the sender's. Where ``required`` is given, content that lacks
    authentication or encryption which it has is refused. The counter is authentic afterwards, but
    still to be checked (`ReceiveCounter`); encryption alone authenticates nothing.

    Raises:
        TruncatedError: no room for header and tag.
        UnsupportedSuiteError: a suite, key set or compression not spoken here.
        SecurityPolicyError: less protection than required, or none.
        DecipherError: the tag does not match.
        CodecError: a key or title of the wrong size on our side.
    """
    header = read_header(content)
    control = header.control
    _require_supported(control, UnsupportedSuiteError)
    _require_policy(control, required)
    _check_sizes(key, system_title, header.invocation_counter)
    nonce = system_title + content[1 : HEADER.size]
    body = content[HEADER.size :]
    if not control.authentication:
        return header, _decrypt_only(key, nonce, body)
    if len(body) < TAG_SIZE:
        raise TruncatedError(f"{len(body)} octets hold no tag of {TAG_SIZE}")
    octets, tag = body[:-TAG_SIZE], body[-TAG_SIZE:]
    aad = content[:1] + authentication_key
    if control.encryption:
        return header, _decrypt(key, nonce, aad, octets, tag)
    _verify_tag(key, nonce, aad + octets, tag)
    return header, octets


def gmac(
    key: bytes,
    authentication_key: bytes,
    system_title: bytes,
    invocation_counter: int,
    challenge: bytes,
) -> bytes:
    """Return f(challenge) of HLS mechanism 5: security control 0x10, counter, tag (17 octets).

    ``system_title`` is that of whoever answers the challenge (Green Book 9.2.7.4).
    """
    _check_sizes(key, system_title, invocation_counter)
    header = HEADER.pack(AUTHENTICATED.to_octet(), invocation_counter)
    aad = header[:1] + authentication_key + challenge
    return header + _tag(key, system_title + header[1:], aad)


def verify_gmac(
    key: bytes,
    authentication_key: bytes,
    system_title: bytes,
    challenge: bytes,
    answer: bytes,
) -> int:
    """Return the invocation counter of ``answer`` after checking it against ``challenge``.

    ``system_title`` is that of whoever answered.

    Raises:
        TruncatedError: not 17 octets.
        UnsupportedSuiteError: not security control 0x10.
        DecipherError: the tag does not match.
    """
    if len(answer) != HEADER.size + TAG_SIZE:
        raise TruncatedError(f"an answer of {len(answer)} octets, not {HEADER.size + TAG_SIZE}")
    header = read_header(answer)
    if header.control != AUTHENTICATED:
        raise UnsupportedSuiteError(f"an answer under security control {answer[0]:#04x}")
    _check_sizes(key, system_title, header.invocation_counter)
    aad = answer[:1] + authentication_key + challenge
    nonce = system_title + answer[1 : HEADER.size]
    _verify_tag(key, nonce, aad, answer[HEADER.size :])
    return header.invocation_counter


@lru_cache(_CACHED_KEYS)
def _aead(key: bytes) -> AESGCM:
    """Keep key schedules: each is about 2.5 kB and costs as much as ciphering a push (3.5 us)."""
    return AESGCM(key)


def _tag(key: bytes, nonce: bytes, aad: bytes) -> bytes:
    return _aead(key).encrypt(nonce, b"", aad)[:TAG_SIZE]


def _verify_tag(key: bytes, nonce: bytes, aad: bytes, tag: bytes) -> None:
    if not hmac.compare_digest(_tag(key, nonce, aad), tag):
        raise DecipherError("wrong authentication tag")


def _decrypt(key: bytes, nonce: bytes, aad: bytes, octets: bytes, tag: bytes) -> bytes:
    # AESGCM.decrypt insists on tags of 16 octets.
    mode = modes.GCM(nonce, tag, min_tag_length=TAG_SIZE)
    decryptor = Cipher(algorithms.AES(key), mode).decryptor()
    decryptor.authenticate_additional_data(aad)
    plaintext = decryptor.update(octets)
    try:
        return plaintext + decryptor.finalize()
    except InvalidTag as exc:
        raise DecipherError("wrong authentication tag") from exc


def _decrypt_only(key: bytes, nonce: bytes, octets: bytes) -> bytes:
    # GCM's key stream is its own inverse; the tag that comes with it says nothing here.
    return _aead(key).encrypt(nonce, octets, None)[: len(octets)]


def _require_supported(
    control: SecurityControl, error: type[LocalProtocolError] | type[UnsupportedSuiteError]
) -> None:
    if control.suite not in SUITES:
        raise error(f"security suite {control.suite}")
    if control.broadcast_key:
        raise error("the broadcast key set")
    if control.compression:
        raise error("compression")
    if error is LocalProtocolError and not (control.authentication or control.encryption):
        raise error("a ciphered APDU without protection")


def _require_policy(control: SecurityControl, required: SecurityControl | None) -> None:
    if not (control.authentication or control.encryption):
        raise SecurityPolicyError("a ciphered APDU without protection")
    if required is None:
        return
    if required.authentication and not control.authentication:
        raise SecurityPolicyError("not authenticated")
    if required.encryption and not control.encryption:
        raise SecurityPolicyError("not encrypted")


def _check_sizes(key: bytes, system_title: bytes, invocation_counter: int) -> None:
    if len(key) != SUITES[0].key_size:
        raise CodecError(f"{len(key)} octets", codec="security", path="key")
    if len(system_title) != SYSTEM_TITLE_SIZE:
        raise CodecError(f"{len(system_title)} octets", codec="security", path="system_title")
    if not 0 <= invocation_counter <= MAX_COUNTER:
        message = f"{invocation_counter} in 32 bits"
        raise CodecError(message, codec="security", path="invocation_counter")
