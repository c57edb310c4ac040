"""Switches for what the public sources of C12.22 disagree about, with default and reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from protocols.c12.titles import BASE, ApTitle


@dataclass(frozen=True, slots=True)
class MessageOptions:
    """How messages are canonified for the message authentication code.

    ``base`` is the absolute title that relative ones count from: 2.16.124.113620.1.22.0 unless a
    network has a branch of its own.

    ``zero_for_absent_key_id``: a key id that the header leaves out counts as an octet of 0 in the
    canonical cleartext. Default false, no octet at all, because Wireshark's dissector verifies
    that and refuses the other; nothing published shows a message without key id.
    """

    base: ApTitle = BASE
    zero_for_absent_key_id: bool = False


MESSAGE_OPTIONS: Final = MessageOptions()
"""The defaults."""
