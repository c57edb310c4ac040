"""Decade 2 of one meter: current registers, the last demand reset, present values.

Everything follows from captures: summations are what the registers stood at at the newest one, a
demand is the mean power of one interval, worked out from how much an energy rose in it, and the
maximum is over the intervals that ended since the last demand reset and are still in the load
profile. Registers without a rate of their own are zero in the tiers' blocks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from protocols.c12.meter.refusal import RefusedError
from protocols.c12.meter.view import MeterView
from protocols.c12.services import ResponseCode

PREVIOUS_RESET: Final = 25
HOUR_S: Final = 3600
RESETS_MAX: Final = 255
DEMAND_MAX: Final = (1 << 31) - 1


@dataclass(frozen=True, slots=True)
class LastReset:
    """When demands were last reset (POSIX seconds, 0 for never), and how often (modulo 256)."""

    at_s: int
    count: int


class RegisterTables:
    """The registers of the meter that ``view`` shows."""

    def __init__(self, view: MeterView) -> None:
        self._view = view
        self._schema = view.schema

    def last_reset(self) -> LastReset:
        """Return what ST25 tells of the last demand reset."""
        kept = self._view.state.written.get(PREVIOUS_RESET)
        if kept is None:
            return LastReset(0, 0)
        values = self._schema.decode(PREVIOUS_RESET, kept)
        count = (values["registers"]["demand_resets"] + 1) % (RESETS_MAX + 1)
        return LastReset(values["information"]["end_time"] or 0, count)

    def reset_demands(self, at_s: int) -> None:
        """Put the current registers away as ST25, and begin new maxima."""
        values = {"information": {"end_time": at_s}, "registers": self.current()}
        self._view.state.written[PREVIOUS_RESET] = self._schema.encode(PREVIOUS_RESET, values)

    def previous_reset_octets(self) -> bytes:
        """Return ST25; all zeros before the first demand reset."""
        kept = self._view.state.written.get(PREVIOUS_RESET)
        if kept is not None:
            return kept
        plan = self._schema.plan
        nothing = [self._block([0] * len(plan.totals), (0, 0)) for _ in range(len(plan.tiers) + 1)]
        registers = {"demand_resets": 0, "total": nothing[0], "tiers": nothing[1:]}
        values = {"information": {"end_time": 0}, "registers": registers}
        return self._schema.encode(PREVIOUS_RESET, values)

    def current(self) -> dict[str, Any]:
        """Return the values of ST23. Raises `RefusedError`: nothing was captured yet."""
        reset = self.last_reset()
        times, values, rose = self._captures()
        plan = self._schema.plan
        since = times > reset.at_s
        columns = (plan.totals, *plan.tiers)
        blocks = [
            self._block(
                [0 if column is None else int(values[-1, column]) for column in block],
                self._maximum(times[since], rose[since], block),
            )
            for block in columns
        ]
        return {"demand_resets": reset.count, "total": blocks[0], "tiers": blocks[1:]}

    def present(self) -> dict[str, Any]:
        """Return the values of ST28. Raises `RefusedError`: nothing was captured yet."""
        _, values, rose = self._captures()
        demand = self._demand(rose[-1:], self._schema.plan.totals)
        return {
            "demands": [{"demand": int(demand[0])}],
            "values": [int(value) for value in values[-1]],
        }

    def _captures(self) -> tuple[NDArray[np.int64], NDArray[np.uint32], NDArray[np.uint32]]:
        """Return times (n,), registers (n, k) and their rises (n, k) in the load profile."""
        newest_s = self._view.newest_s()
        if newest_s is None:
            raise RefusedError(ResponseCode.DATA_NOT_READY)
        readings, previous = self._view.with_previous(*self._view.window(newest_s))
        return readings.captured_at_s, readings.values, readings.values - previous

    def _demand(self, rose: NDArray[np.uint32], block: Sequence[int | None]) -> NDArray[np.int64]:
        """Return the demand of the first energy of a block in every interval, in watts."""
        column = block[0] if block else None
        if column is None:
            return np.zeros(len(rose), np.int64)
        watts = rose[:, column].astype(np.int64) * HOUR_S // self._schema.period_s
        return np.minimum(watts, DEMAND_MAX)

    def _maximum(
        self, times: NDArray[np.int64], rose: NDArray[np.uint32], block: Sequence[int | None]
    ) -> tuple[int, int]:
        """Return the greatest demand and when it was first reached; zeros where there is none."""
        demand = self._demand(rose, block)
        if not demand.any():
            return 0, 0
        at = int(demand.argmax())
        return int(demand[at]), int(times[at])

    def _block(self, summations: list[int], maximum: tuple[int, int]) -> dict[str, Any]:
        demand, at_s = maximum
        return {
            "summations": summations,
            "demands": [{"times": [at_s], "values": [demand]}],
            "coincident_values": [],
        }
