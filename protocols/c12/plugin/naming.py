"""Device names of the project and ApTitles of the network, one for the other.

``MSC``, ``MST`` and ``MSH`` with 13 digits, counting from 1, are the relative titles ``.1.n``
(relays), ``.2.n`` (meters) and ``.3.n`` (head-ends). What the plug-in interface calls a title is
the octets of the element, tag included, of the relative form.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from protocols.c12.titles import NODES_REMEMBERED, ApTitle
from protocols.errors import CodecError

_KINDS: Final = {b"MSC": 1, b"MST": 2, b"MSH": 3}
_PREFIXES: Final = {kind: prefix for prefix, kind in _KINDS.items()}
_NAME: Final = re.compile(rb"(MSC|MST|MSH)(\d{13})")
_RELAY: Final = 1
_KEY_IDS: Final = 255


@lru_cache(NODES_REMEMBERED)
def title_of(name: bytes) -> bytes:
    """Return the title of the device called ``name``. Raises `ValueError` for another name."""
    found = _NAME.fullmatch(name)
    if found is None or not int(found[2]):
        raise ValueError(f"{name!r} is no device name with 13 digits, from 1 on")
    return ApTitle.parse(f".{_KINDS[found[1]]}.{int(found[2])}").encode()


@lru_cache(NODES_REMEMBERED)
def name_of(title: bytes) -> bytes | None:
    """Return the name of the device with that title; ``None``: it is none of the project's."""
    try:
        arcs = ApTitle.decode(title).relative_to().arcs
    except CodecError:
        return None
    if len(arcs) != 2 or arcs[0] not in _PREFIXES or not 1 <= arcs[1] < 10**13:
        return None
    return _PREFIXES[arcs[0]] + b"%013d" % arcs[1]


@lru_cache(NODES_REMEMBERED)
def element_of(title: ApTitle) -> bytes:
    """Return what the plug-in interface calls a node: its relative title, as an element."""
    return title.relative_to().encode()


@lru_cache(NODES_REMEMBERED)
def key_id_of(title: bytes) -> int:
    """Return the key id (u8) that messages of a node name; each node has only one key.

    Up to 255 meters in a row and their relay differ, so that a dissector, which knows keys by id
    alone, can be given those of a relay's whole connection.
    """
    kind, number = ApTitle.decode(title).relative_to().arcs[-2:]
    return 0 if kind == _RELAY else 1 + (number - 1) % _KEY_IDS
