"""What the clients of a run are to do, in a file of its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final

from pydantic import BaseModel, ConfigDict, Field

from harness.bal.tls import TlsFiles

CONFIG_NAME: Final = "clients.json"
"""Its name below the folder ``load`` of a run."""

UNSENT: Final = "unsent requests"
"""Counter of requests that were due and never sent, because the run was over."""

Rate = Annotated[float, Field(gt=0, le=100_000)]


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class System(_Frozen):
    """A system with an HTTP API, or one that speaks a dialect of networked batteries.

    Attributes:
        url: scheme, host and port, and a path where everything lies below one; the scheme may be
            the name of a dialect: "v1://127.0.0.1:4004".
        tls: who we are to one that speaks v3, and whom we trust.
        token_file: first line is the bearer token; None where it asks for none.
        timeout_s: real seconds an answer may take from when it was asked for.
        connections: held open at most, by each client.
    """

    url: str
    tls: TlsFiles | None = None
    token_file: Path | None = None
    timeout_s: float = Field(default=30.0, gt=0)
    connections: int = Field(default=4_096, ge=1, le=65_536)

    @property
    def dialect(self) -> str | None:
        """The dialect of networked batteries that it speaks; None for HTTP."""
        scheme = self.url.partition("://")[0]
        return None if scheme in ("http", "https") else scheme


class Operation(_Frozen):
    """One kind of request, and how often it is made.

    Attributes:
        name: as it appears in statistics and in the record: "bal status".
        kind: one of `operations.KINDS`.
        system: key of `ClientsConfig.systems`.
        rate_per_s: requests a real second, of all clients together.
        subjects: whom requests are about, drawn evenly: names of batteries, numbers of meters.
        details: what the kind wants to know besides, such as the largest current.
        begins_s: real seconds after the start of the clock at which the first may be due.
    """

    name: str
    kind: str
    system: str
    rate_per_s: Rate
    subjects: tuple[str, ...] = Field(min_length=1)
    details: dict[str, int | str] = Field(default_factory=dict)
    begins_s: float = Field(default=0.0, ge=0)


class ClientsConfig(_Frozen):
    """All clients of a run.

    Attributes:
        seed: of every draw.
        clients: how many share the work: each makes every ``clients``-th request.
        span_s: real seconds from the start of the clock in which requests become due.
        first_s: POSIX seconds of scenario time at the start of the clock, and its speed.
    """

    seed: int
    clients: int = Field(ge=1, le=10_000)
    span_s: float = Field(gt=0)
    first_s: int = 0
    speed: float = Field(default=1.0, gt=0)
    systems: dict[str, System]
    operations: tuple[Operation, ...]
