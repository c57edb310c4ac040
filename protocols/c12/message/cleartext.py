"""The canonical cleartext N, the header as EAX' authenticates it.

Source: ANSI C12.22 (canonification), held against published messages::

    [A1] A2 [A4] [A7] A8 [8B] [AC] | BE header .. control octet | A6 | key id | vector, 4 octets

Elements stand as they travelled, except for relative titles, which become absolute. Whether a key
id that was left out counts as an octet of 0 is a switch.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Final

from protocols.c12 import ber
from protocols.c12.acse import CALLED_TAG, CALLING_TAG, AuthenticationValue, Header
from protocols.c12.options import MessageOptions
from protocols.c12.titles import ApTitle

_CACHED_TITLES: Final = 1 << 16
_ORDER: Final = (0xA1, CALLED_TAG, 0xA4, 0xA7, 0xA8, 0x8B, 0xAC)


def canonical_cleartext(
    header: Header,
    elements: Mapping[int, bytes],
    information_header: bytes,
    control: int,
    authentication: AuthenticationValue,
    options: MessageOptions,
) -> bytes:
    """Return N.

    ``elements`` are the header's elements as they travel; ``authentication`` is the value
    in force, the header's own or the one of the session.
    """
    called = canonical_title(CALLED_TAG, header.called, elements, options.base)
    parts = [called if tag == CALLED_TAG else elements.get(tag, b"") for tag in _ORDER]
    parts += (
        information_header,
        bytes((control,)),
        canonical_title(CALLING_TAG, header.calling, elements, options.base),
        authentication_tail(authentication, options),
    )
    return b"".join(parts)


def canonical_title(
    tag: int, title: ApTitle | None, elements: Mapping[int, bytes], base: ApTitle
) -> bytes:
    """Return the element of ``title`` in its absolute form, empty without one."""
    if title is None:
        return b""
    return absolute_element(tag, title, base) if title.relative else elements[tag]


@lru_cache(_CACHED_TITLES)
def absolute_element(tag: int, title: ApTitle, base: ApTitle) -> bytes:
    """Return the element ``tag`` with ``title`` made absolute."""
    return ber.element(tag, title.absolute(base).encode())


def authentication_tail(value: AuthenticationValue, options: MessageOptions) -> bytes:
    """Return the end of N: key id and vector."""
    vector = value.vector.to_bytes(4, "big")
    if value.key_id is None:
        return b"\0" + vector if options.zero_for_absent_key_id else vector
    return bytes((value.key_id,)) + vector
