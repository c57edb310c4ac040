"""The billing back end of a scenario: what energy costs, and who asks for bills meanwhile."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from harness.billing.tariffs import Tariffs
from harness.scenario.base import Part

Rate = Annotated[float, Field(ge=0, le=100_000, allow_inf_nan=False)]


class BillingLoad(Part):
    """What Locust's users ask of billing, at times set beforehand."""

    bills_per_s: Rate = 0.0
    """Bills fetched in a real second, of meters drawn evenly, once the first month of ``rates``
    should be billed; earlier there is none."""
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
