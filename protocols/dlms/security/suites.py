"""Security suites: what each needs and does.

Suite 0 is AES-128-GCM with a 12-octet tag (IEC 62056-5-3, Green Book 9.2.3). Suites 1 and 2 (ECDSA,
key agreement, AES-256 in suite 2) get their rows here when they come; until then a peer that uses
them is refused with `UnsupportedSuiteError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Suite:
    """Sizes in octets."""

    key_size: int
    tag_size: int


SUITES: Final = {0: Suite(key_size=16, tag_size=12)}

SYSTEM_TITLE_SIZE: Final = 8
