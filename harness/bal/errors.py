"""What the battery layer says when it cannot do what was asked: which battery, what, the mend."""

from __future__ import annotations


class BatteryError(Exception):
    """Base of the family, never raised itself; a refused request has changed nothing.

    Attributes:
        battery: name of the battery it is about.
        mend: what a person can do about it.
    """

    def __init__(self, battery: str, message: str, *, mend: str) -> None:
        super().__init__(f'battery "{battery}": {message}; {mend}')
        self.battery = battery
        self.mend = mend


class UnknownBatteryError(BatteryError):
    """There is no battery of that name."""


class NameTakenError(BatteryError):
    """A battery of that name is there already."""


class BatteryNameError(BatteryError):
    """The name cannot be one: empty, too long, or with signs that do not print."""


class NotASourceError(BatteryError):
    """A reading or a loss was told of a battery that is not physical and not networked."""


class BatteryInUseError(BatteryError):
    """The battery is part of another, through which it is commanded, or on which others rest."""


class CyclicTopologyError(BatteryError):
    """The battery would be made of itself."""


class TopologyError(BatteryError):
    """The battery cannot be made so: no sources, one twice, too deep, a source of another grid."""


class SharesError(BatteryError):
    """The shares of a splitter exceed the whole, or one of them is nothing."""


class ValueRangeError(BatteryError):
    """A nameplate or a reading says what no battery can be."""


class CurrentOutOfRangeError(BatteryError):
    """More current was asked for than the battery can take or give now.

    Attributes:
        current_ma: what was asked for, positive when discharging.
        max_charge_ma, max_discharge_ma: what would have been possible.
    """

    def __init__(
        self, battery: str, current_ma: int, max_charge_ma: int, max_discharge_ma: int
    ) -> None:
        super().__init__(
            battery,
            f"{current_ma} mA is out of range",
            mend=f"ask for {-max_charge_ma} (charge) to {max_discharge_ma} mA (discharge)",
        )
        self.current_ma = current_ma
        self.max_charge_ma = max_charge_ma
        self.max_discharge_ma = max_discharge_ma


class ScheduleError(BatteryError):
    """A scheduled set point lies in the past, ends before it starts, or there are too many."""


class TimeOrderError(BatteryError):
    """Something was told of a moment before one that is already settled."""


class LocationError(BatteryError):
    """The battery's connection point is not in the grid, or cannot be reached in it."""


class CommandConflictError(Exception):
    """A name of a command was used for another one before; neither is executed again.

    Attributes:
        command: the name.
    """

    def __init__(self, command: str) -> None:
        super().__init__(
            f'command "{command}" was something else before; give every command a name of its own'
        )
        self.command = command
