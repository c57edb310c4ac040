"""The billing back end of a scenario: what energy costs, and who asks for bills meanwhile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.billing.tariffs import Tariffs
from harness.scenario.base import Part
from netem.units import Duration

Rate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class BillingLoad(Part):
    """What Locust's users ask of billing, at times set beforehand."""

    bills_per_s: Rate = 0.0
    """Bills fetched in a real second, of meters drawn evenly, from ``bills_after`` on."""
    bills_after: Duration = Field(default="0 s", validate_default=True)
    """Wall time after the end of the first month that is billed, until bills are fetched: billing
    takes its time, and until then there are none."""
    statistics_per_s: Rate = 0.0
    """Statistics of single meters asked for in a real second."""


class Billing(Tariffs):
    """The reference billing back end, over the store of the reference head-end."""

    load_driver: BillingLoad = Field(default=BillingLoad(), alias="load")
    """Who asks it what."""

    @property
    def tariffs(self) -> Tariffs:
        """Only what customers pay."""
        return Tariffs(time_zone=self.time_zone, base_bill=self.base_bill, rates=self.rates)
