"""High level security, passes three and four: what both ends name alike (Green Book 9.2.7.4)."""

from __future__ import annotations

from typing import Final

from protocols.dlms.apdu import CosemMethodDescriptor
from protocols.dlms.cosem.classes import ASSOCIATION_LN
from protocols.dlms.cosem.device import CURRENT_ASSOCIATION

CHALLENGE_SIZE: Final = 16
CHALLENGE_SIZES: Final = range(8, 65)
"""Octets of challenges that are taken."""
REPLY_TO_HLS: Final = CosemMethodDescriptor(ASSOCIATION_LN.class_id, CURRENT_ASSOCIATION, 1)
"""The method that carries the client's proof, and whose answer carries the server's."""
