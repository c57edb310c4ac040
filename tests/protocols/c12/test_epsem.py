"""EPSEM: the control octet and the services behind it."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.epsem import (
    MAX_SERVICES,
    Control,
    Epsem,
    ResponseControl,
    SecurityMode,
    decode_content,
    decode_control,
)
from protocols.errors import CodecError
from tests.support.c12_messages import epsems


@pytest.mark.parametrize(
    ("octet", "control", "has_ed_class"),
    [
        (0x80, Control(), False),
        (0x88, Control(SecurityMode.CIPHERED), False),
        # The control octet of the published messages: ciphered, ed-class, never an answer.
        (0x9A, Control(SecurityMode.CIPHERED, ResponseControl.NEVER), True),
        (0xC5, Control(SecurityMode.AUTHENTICATED, ResponseControl.ON_EXCEPTION, True), False),
        (0xA0, Control(proxy=True), False),
    ],
)
def test_control_octet(octet: int, control: Control, has_ed_class: bool) -> None:
    assert decode_control(octet) == (control, has_ed_class)
    assert control.to_octet(has_ed_class=has_ed_class) == octet


@pytest.mark.parametrize("octet", [0x00, 0x7F, 0x83, 0x8C, 0xFF])
def test_reserved_controls_are_refused(octet: int) -> None:
    with pytest.raises(CodecError, match="control"):
        decode_control(octet)


def test_layout() -> None:
    epsem = Epsem((b"\x30\x00\x01", b"\x20"), ed_class=b"TEMP")
    assert epsem.content() == b"TEMP" + bytes.fromhex("03 30 00 01 01 20")
    assert Epsem((bytes(200),)).content()[:2] == b"\x81\xc8"


@given(epsems)
def test_round_trip(epsem: Epsem) -> None:
    control, has_ed_class = decode_control(epsem.control_octet())
    assert decode_content(control, has_ed_class, epsem.content()) == epsem


@pytest.mark.parametrize(
    ("has_ed_class", "content", "path"),
    [
        (True, b"TEM", "ed_class"),
        (False, b"\x02\x20", r"services\[0\]"),
        (False, b"\x01\x20\x80", r"services\[1\]"),
        (False, bytes(MAX_SERVICES + 1), "services"),
    ],
)
def test_what_is_refused(has_ed_class: bool, content: bytes, path: str) -> None:
    with pytest.raises(CodecError, match=path):
        decode_content(Control(), has_ed_class, content)


def test_an_ed_class_of_another_size_is_not_written() -> None:
    with pytest.raises(CodecError, match="ed_class"):
        Epsem((), ed_class=b"abc").content()


@given(st.booleans(), st.binary(max_size=40))
def test_garbage_raises_only_codec_errors(has_ed_class: bool, garbage: bytes) -> None:
    with contextlib.suppress(CodecError):
        decode_content(Control(), has_ed_class, garbage)
