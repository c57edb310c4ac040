"""One emulated battery: what it is told, what flows, what it reports, whatever line it hangs on.

A current is set and held until another one is: the converter beside the battery regulates current.
Current flows only in directions that are not disabled, and while there is charge to take or room to
fill. A command that cannot be recorded is not carried out.
"""

from __future__ import annotations

from typing import Final

from emulator.batteries.physics import Course, Ratings, Snapshot, snapshot
from emulator.batteries.record import (
    BatteryRecord,
    Begun,
    Changed,
    CommandKind,
    Ended,
    Executed,
    Refused,
)

__all__ = ["Battery", "OverLimitError", "UnrecordedError"]

CHARGE_DISABLED: Final = 1
DISCHARGE_DISABLED: Final = 2
BOTH_DISABLED: Final = 3


class OverLimitError(ValueError):
    """A current beyond what the battery is built for was asked; nothing changed."""

    def __init__(self, name: str, current_ma: int, ratings: Ratings) -> None:
        super().__init__(
            f"{name}: {current_ma} mA is over its limits: set {-ratings.charge_ma_max} (charge) to"
            f" {ratings.discharge_ma_max} mA (discharge)"
        )
        self.name = name
        self.current_ma = current_ma


class UnrecordedError(RuntimeError):
    """A command was not carried out, because the record could not be written."""

    def __init__(self, name: str, problem: str) -> None:
        super().__init__(f"{name}: a command was not carried out: the record: {problem}")
        self.name = name


class Battery:
    """The state of one battery, and its record.

    Args:
        number: its number, from 0.
        name: as its device tells it.
        ratings: what it is built for.
        begin: how it is when the scenario begins.
        record: of its process.

    Every time given is POSIX milliseconds of the scenario clock; one before the last change counts
    as that change's.
    """

    __slots__ = ("_record", "commands", "course", "disabled", "name", "number", "ratings", "set_ma")

    def __init__(
        self,
        number: int,
        name: str,
        ratings: Ratings,
        begin: Course,
        record: BatteryRecord,
    ) -> None:
        self.number = number
        self.name = name
        self.ratings = ratings
        self.course = begin
        self.set_ma = begin.current_ma
        self.disabled = 0
        self.commands = 0
        self._record = record

    def begun(self, interface: str) -> Begun:
        """Return the first entry of its record."""
        return Begun(
            battery=self.number,
            name=self.name,
            interface=interface,
            at_ms=self.course.since_ms,
            charge_ma_ms=self.course.charge_ma_ms,
            capacity_ma_ms=self.ratings.capacity_ma_ms,
            charge_ma_max=self.ratings.charge_ma_max,
            discharge_ma_max=self.ratings.discharge_ma_max,
            efficiency_ppm=self.ratings.efficiency_ppm,
        )

    def ended(self, at_ms: int) -> Ended:
        """Return the last entry of its record; nothing changes."""
        changed, _ = self._changed(at_ms, self.course.current_ma)
        return Ended(self.number, self.commands, changed)

    def status(self, at_ms: int) -> Snapshot:
        """Return how it is, everything at one moment."""
        return snapshot(self.ratings, self.course, max(at_ms, self.course.since_ms))

    def set_current(self, current_ma: int, at_ms: int, *, for_power_mw: int | None = None) -> None:
        """Hold a current from now on; positive discharges.

        ``for_power_mw``: the power that was asked for, where it was one; for the record.

        Raises:
            OverLimitError: the battery is not built for it.
            UnrecordedError: it could not be recorded.
        """
        kind: CommandKind = "current" if for_power_mw is None else "power"
        asked = current_ma if for_power_mw is None else for_power_mw
        if not self.ratings.allows(current_ma):
            self._write(Refused(self.number, kind, asked, at_ms, "over the limits"))
            raise OverLimitError(self.name, current_ma, self.ratings)
        self._execute(kind, asked, self._flowing(current_ma, self.disabled), at_ms)
        self.set_ma = current_ma

    def disable(self, directions: int, at_ms: int) -> None:
        """Let no current flow in some directions: bit 0 charge, bit 1 discharge; 0: all may.

        Raises:
            ValueError: another bit is set.
            UnrecordedError: it could not be recorded.
        """
        if not 0 <= directions <= BOTH_DISABLED:
            raise ValueError(f"{self.name}: {directions} is no pair of directions: write 0 to 3")
        self._execute("disabled", directions, self._flowing(self.set_ma, directions), at_ms)
        self.disabled = directions

    @staticmethod
    def _flowing(set_ma: int, disabled: int) -> int:
        direction = DISCHARGE_DISABLED if set_ma > 0 else CHARGE_DISABLED
        return 0 if disabled & direction else set_ma

    def _execute(self, kind: CommandKind, asked: int, current_ma: int, at_ms: int) -> None:
        changed, course = self._changed(at_ms, current_ma)
        self._write(Executed(self.number, self.commands + 1, kind, asked, changed))
        self.commands += 1
        self.course = course

    def _changed(self, at_ms: int, current_ma: int) -> tuple[Changed, Course]:
        before = self.course
        at_ms = max(at_ms, before.since_ms)
        after = Course(at_ms, before.charge_at(self.ratings, at_ms), current_ma)
        changed = Changed(
            since_ms=before.since_ms,
            at_ms=at_ms,
            charge_before_ma_ms=before.charge_ma_ms,
            charge_ma_ms=after.charge_ma_ms,
            current_before_ma=before.current_ma,
            current_ma=current_ma,
        )
        return changed, after

    def _write(self, entry: Executed | Refused) -> None:
        try:
            self._record.write(entry)
        except OSError as error:
            raise UnrecordedError(self.name, str(error)) from error
