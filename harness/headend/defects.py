"""A head-end that is broken on purpose, to prove that a suite finds it out.

For tests only: nothing but the environment variable `VARIABLE` of the head-end's process reaches
it, no key of a scenario does. Its value lists defects, such as ``drop-every=1000,accept-replays``.
A head-end so started says so in its log and in its counters, and with them in the record of the run
(``defect: ...``). Confirming before storing is a defect of its own, ``acknowledge_before_store``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Self

import numpy as np
from structlog import get_logger

from harness.headend.counters import ContextCounters
from harness.headend.service import Shard
from harness.store.rows import Rows, Via
from protocols.readings import ReadingBatch

VARIABLE: Final = "METERSTORM_HEADEND_DEFECTS"
DROP: Final = "drop-every"
ACCEPT: Final = "accept-replays"
log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Defects:
    """What is broken.

    ``drop_every``: of so many readings one is confirmed and never stored, and the head-end believes
    that it has it; 0 for none. ``accept_replays``: it keeps no memory of invocation counters.
    """

    drop_every: int = 0
    accept_replays: bool = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> Self | None:
        """Return what the environment asks for. Raises `ValueError` for what is no defect."""
        defects = cls()
        for word in filter(None, environment.get(VARIABLE, "").split(",")):
            name, _, number = word.partition("=")
            if name == DROP and number.isdecimal() and int(number):
                defects = replace(defects, drop_every=int(number))
            elif word == ACCEPT:
                defects = replace(defects, accept_replays=True)
            else:
                raise ValueError(f"{VARIABLE}: {word!r} is no defect; write {DROP}=N or {ACCEPT}")
        return None if defects == cls() else defects


class ForgetfulCounters(ContextCounters):
    """Counters of a head-end that takes every one for new."""

    def last_accepted(self, peer: bytes) -> int | None:
        """Return that nothing was ever accepted."""
        return None


class DefectiveShard(Shard):
    """A head-end shard with planted defects; otherwise as any other."""

    def __init__(self, defects: Defects, *shared: Any) -> None:  # noqa: ANN401 - as Shard's
        super().__init__(*shared)
        self._defects = defects
        log.warning("this head-end is broken on purpose", defects=str(defects))
        self.totals.count(f"defect: {defects}")
        if defects.accept_replays:
            accepted = self.store.counters()
            self.push_counters = ForgetfulCounters(self.sending, accepted, b"", self.stamps)

    def rows(self, concentrator: int, readings: ReadingBatch, via: Via) -> Rows:
        """Return the rows to store, without those that are to be lost."""
        rows = super().rows(concentrator, readings, via)
        if not self._defects.drop_every:
            return rows
        # By what a reading is, not by its turn: it is lost whenever and however it arrives.
        step_s = self.registry.provisioning.shared.step_s
        place = rows.meter.astype(np.int64) + rows.captured_at_s // step_s
        lost = place % self._defects.drop_every == 0
        self.presence.note(rows.take(lost))
        self.totals.count("defect: readings dropped", int(np.count_nonzero(lost)))
        return rows.take(~lost)
