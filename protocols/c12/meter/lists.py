"""What of a circular list counts as valid and as unread, once somebody has reset or read it.

Lists themselves follow from the model; a reset (procedure 4) or an acknowledged reading
(procedure 5) leaves a mark, which is the list's own header as it stood then. From there on every
new entry is one more that is valid and unread.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ListMark:
    """A list as it stood once: the newest entry's sequence number, valid and unread entries."""

    sequence: int
    valid: int
    unread: int


def entries_since(mark: ListMark | None, sequence: int, held: int) -> tuple[int, int]:
    """Return how many entries are valid, and how many unread.

    ``held`` entries are there up to ``sequence``; without a mark all are valid and unread.
    """
    if mark is None:
        return held, held
    new = max(0, sequence - mark.sequence)
    valid = min(held, mark.valid + new)
    return valid, min(valid, mark.unread + new)
