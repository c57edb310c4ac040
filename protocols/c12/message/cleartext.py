"""The canonical cleartext N, the header as EAX' authenticates it.

Source: ANSI C12.22 (canonification), held against published messages::

    [A1] A2 [A4] [A7] A8 [8B] [AC] | BE header .. control octet | A6 | [key id] | vector, 4 octets

Octets stand as they travel, but for relative titles, which become absolute.
"""

from __future__ import annotations

from functools import lru_cache

from protocols.c12 import ber
from protocols.c12.acse import CALLED_TAG, CALLING_TAG, AuthenticationValue, Header, Spans
from protocols.c12.options import MessageOptions
from protocols.c12.titles import NODES_REMEMBERED, ApTitle


def canonical_cleartext(
    octets: bytes,
    header: Header,
    spans: Spans,
    authentication: AuthenticationValue,
    options: MessageOptions,
) -> bytes:
    """Return N.

    ``octets`` are an APDU, at least to its control octet, which lies where the information starts;
    ``authentication`` is the value in force, the header's own or the one of the session.
    """
    called = octets[spans.called_start : spans.called_stop]
    if header.called is not None and header.called.relative:
        called = _absolute(CALLED_TAG, header.called.octets, options.base.octets)
    calling = octets[spans.calling_start : spans.calling_stop]
    if header.calling is not None and header.calling.relative:
        calling = _absolute(CALLING_TAG, header.calling.octets, options.base.octets)
    return b"".join(
        (
            octets[spans.elements_start : spans.called_start],
            called,
            octets[spans.called_stop : spans.calling_start],
            octets[spans.calling_stop : spans.information_start + 1],
            calling,
            authentication_tail(authentication, options),
        )
    )


def title_element(tag: int, title: ApTitle | None, base: ApTitle) -> bytes:
    """Return the element ``tag`` with ``title`` made absolute, empty without one."""
    if title is None:
        return b""
    if title.relative:
        return _absolute(tag, title.octets, base.octets)
    return ber.element(tag, title.encode())


@lru_cache(NODES_REMEMBERED)
def _absolute(tag: int, octets: bytes, base: bytes) -> bytes:
    return ber.element(tag, ApTitle(base + octets).encode())


def authentication_tail(value: AuthenticationValue, options: MessageOptions) -> bytes:
    """Return the end of N: key id and vector."""
    vector = value.vector.to_bytes(4, "big")
    if value.key_id is None:
        return b"\0" + vector if options.zero_for_absent_key_id else vector
    return bytes((value.key_id,)) + vector
