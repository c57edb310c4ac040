"""The billing back end of a scenario: what energy costs, and who asks for bills meanwhile."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BeforeValidator, Field, StrictBool, model_validator

from harness.billing.tariffs import Tariffs
from harness.scenario.base import Part, ScenarioFile, Url, reference_by_default
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
    exports_per_s: Rate = 0.0
    """Exports asked for in a real second. Ours makes one at a time and refuses others meanwhile,
    so those count as failed."""
    exports: tuple[Literal["statistics", "bills"], ...] = Field(default=("bills",), min_length=1)
    """What is exported, drawn evenly: of all meters, as Parquet."""

    @property
    def asks(self) -> bool:
        """Whether anything is asked."""
        return bool(self.bills_per_s or self.statistics_per_s or self.exports_per_s)


class ReferenceBilling(Part):
    """This project's billing back end, started and stopped by the run."""

    kind: Literal["reference"] = "reference"
    """Which system under test."""


class ExternalBilling(Part):
    """Somebody's own: we export meters and tariffs, and read back what it billed."""

    kind: Literal["external"]
    """Which system under test."""
    url: Url | None = None
    """Where its HTTP API is, if it has the paths of ours: users then ask it, and the run waits for
    it to listen."""
    token_file: ScenarioFile | None = None
    """File with the bearer token for ``url`` and ``bills_url``."""
    bills: str | None = Field(default=None, pattern=r"\.(csv|parquet)$")
    """Parquet or CSV file that it writes: meter (its number in ``provisioning/meters.csv``), month,
    and amount or amount_cents. Relative to the scenario; it need not exist yet."""
    bills_url: Url | None = None
    """Where such a file, Parquet, can be fetched instead."""
    settle: Duration = Field(default="10 s", validate_default=True)
    """Wall time it gets after the drain to finish its bills before they are read back."""

    @model_validator(mode="after")
    def _bills_from_somewhere(self) -> Self:
        if (self.bills is None) == (self.bills_url is None):
            raise ValueError('say where its bills will be: "bills", a file, or "bills_url"')
        if self.token_file is not None and self.url is None and self.bills_url is None:
            raise ValueError('"token_file" is for "url" or "bills_url"')
        return self


BillingTarget = Annotated[
    ReferenceBilling | ExternalBilling,
    Field(discriminator="kind"),
    BeforeValidator(reference_by_default),
]


class Billing(Tariffs):
    """The billing back end: ours, over the store of the reference head-end, or somebody's own."""

    target: BillingTarget = ReferenceBilling()
    """The system under test."""
    virtual_meters: StrictBool = False
    """Whether the partitions of virtual batteries are behind meters: the first behind meter 0, the
    second behind meter 1, and so on. What flowed through each is then brought to billing at the end
    of the run, and is in the statistics of its meter."""
    load_driver: BillingLoad = Field(default=BillingLoad(), alias="load")
    """Who asks it what."""

    @model_validator(mode="after")
    def _load_goes_somewhere(self) -> Self:
        silent = isinstance(self.target, ExternalBilling) and self.target.url is None
        if silent and self.load_driver.asks:
            raise ValueError('the load goes through its API: say its "url" in [billing.target]')
        return self

    @property
    def tariffs(self) -> Tariffs:
        """Only what customers pay."""
        return Tariffs(time_zone=self.time_zone, base_bill=self.base_bill, rates=self.rates)
