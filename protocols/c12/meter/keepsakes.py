"""What is remembered of an object that belongs to somebody else, for as long as it lives."""

from __future__ import annotations

import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class Keepsakes(Generic[T]):
    """One ``make()`` for each owner, by identity, dropped with it.

    Owners need not be hashable. One that cannot be referred to weakly is given a new keepsake each
    time. A keepsake must not refer to its owner, or both live for ever.
    """

    def __init__(self, make: Callable[[], T]) -> None:
        self._make = make
        self._kept: dict[int, tuple[weakref.ref[object], T]] = {}

    def __len__(self) -> int:
        """The number of owners that live."""
        return len(self._kept)

    def of(self, owner: object) -> T:
        """Return what is kept of ``owner``."""
        kept = self._kept.get(id(owner))
        if kept is None:
            made = self._make()
            try:
                reference = weakref.ref(owner, self._forget(id(owner)))
            except TypeError:
                return made
            kept = self._kept[id(owner)] = reference, made
        return kept[1]

    def _forget(self, key: int) -> Callable[[object], None]:
        def forget(_reference: object) -> None:
            self._kept.pop(key, None)

        return forget
