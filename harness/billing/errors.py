"""What billing says when it cannot do what was asked: the thing, and the mend."""

from __future__ import annotations

from enum import IntEnum
from typing import Final

from harness.billing.calendar import Month
from harness.store.usage import NEVER


class BillingError(Exception):
    """Base of the family: nothing was billed by the call.

    ``mend`` is what a person can do about it.
    """

    def __init__(self, message: str, *, mend: str) -> None:
        super().__init__(f"{message}; {mend}")
        self.mend = mend


class NoRatesError(BillingError):
    """A month has no rates."""

    def __init__(self, month: Month) -> None:
        super().__init__(
            f"there are no rates for {month}", mend="add the month to the rates of [billing]"
        )
        self.month = month


class RatesChangedError(BillingError):
    """A month that has bills already is to have other rates."""

    def __init__(self, month: Month) -> None:
        super().__init__(
            f"{month} has been billed at other rates", mend="put back the rates the bills tell"
        )
        self.month = month


class MonthNotOverError(BillingError):
    """A month is to be billed before its end."""

    def __init__(self, month: Month) -> None:
        super().__init__(f"{month} is not over", mend="ask again when it is")
        self.month = month


class EarlierMonthError(BillingError):
    """A month is to be billed before one that its base bills follow from."""

    def __init__(self, month: Month, earlier: Month) -> None:
        super().__init__(
            f"{earlier} has not been billed, and base bills of {month} follow from it",
            mend=f"bill {earlier} first",
        )
        self.month = month
        self.earlier = earlier


class RecoveringError(BillingError):
    """A month is to be billed while the head-end reads its readings again."""

    def __init__(self, month: Month) -> None:
        super().__init__(
            f"readings of {month} are being read again from the concentrators",
            mend="ask again when GET /recovery says that it is over",
        )
        self.month = month


class UnknownBillError(BillingError):
    """There is no bill of that meter and month."""

    def __init__(self, meter: str, month: Month) -> None:
        super().__init__(
            f"meter {meter} has no bill for {month}",
            mend="create the month's bills, or see why it was withheld",
        )


class UnknownPartitionError(BillingError):
    """A record is of a partition that is behind no meter."""

    def __init__(self, name: str) -> None:
        super().__init__(
            f"partition {name!r} is behind no meter", mend="name its meter in virtual_meters"
        )


class OverlapError(BillingError):
    """Two records of one virtual meter share time: their energy would count twice."""

    def __init__(self, meter: int, from_ms: int) -> None:
        super().__init__(
            f"the virtual meter of meter {meter} has another record at {from_ms} ms",
            mend="send spans that follow one another",
        )


class Reason(IntEnum):
    """Why a bill is withheld."""

    NO_READINGS = 0
    NO_OPENING = 1
    NO_CLOSING = 2
    REGISTER_FELL = 3
    NO_EARLIER_BILL = 4
    GAPS = 5


READINGS_MISSING: Final = (
    Reason.NO_READINGS,
    Reason.NO_OPENING,
    Reason.NO_CLOSING,
    Reason.GAPS,
)
"""Reasons that end when readings come that are not there."""
_TEXTS: Final[dict[Reason, tuple[str, str]]] = {
    Reason.NO_READINGS: ("has no readings", "fetch the month's readings and bill it again"),
    Reason.NO_OPENING: (
        "has no reading at the beginning, its first is",
        "fetch what is missing and bill it again",
    ),
    Reason.NO_CLOSING: (
        "has no reading at the end, its last is",
        "fetch what is missing and bill it again",
    ),
    Reason.REGISTER_FELL: (
        "has a register that is negative or fell at the reading",
        "look at the meter, and mend the reading",
    ),
    Reason.NO_EARLIER_BILL: (
        "waits for a bill of a month before, which its base bill follows from",
        "fetch what that one is missing, or say in the accounts since when it has a customer",
    ),
    Reason.GAPS: (
        "lacks readings at which peak hours begin or end, and they may still come",
        "fetch what is missing and bill it again, or wait: it is estimated some days later",
    ),
}


class WithheldError(BillingError):
    """The bill of one meter cannot be made; those of others are.

    Attributes:
        meter: the meter's number.
        month: the month.
        reason: why.
        at_s: the capture time (POSIX seconds) that is at fault, or `NEVER`.
    """

    def __init__(self, meter: int, month: Month, reason: Reason, at_s: int, when: str) -> None:
        """Tell it; ``when`` is ``at_s`` for people."""
        text, mend = _TEXTS[reason]
        place = "" if at_s == NEVER else f" of {when}"
        super().__init__(f"meter {meter} in {month} {text}{place}", mend=mend)
        self.meter = meter
        self.month = month
        self.reason = reason
        self.at_s = at_s
