"""A battery that another node of the battery layer reports and takes commands for."""

from __future__ import annotations

from dataclasses import replace

from harness.bal.model.physical import Physical
from harness.bal.model.values import Kind, Values


class Networked(Physical):
    """The same face as a physical one; what is expected of it, the other node may say itself."""

    __slots__ = ()

    kind = Kind.NETWORKED

    def expected(self) -> Values:
        """Return what the other node expects of it, or else what its nameplate says."""
        if self.reading is None or self.reading.expected is None:
            return super().expected()
        return replace(self.reading.expected, current_ma=0)
