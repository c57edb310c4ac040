"""What only the ANSI part of a fleet needs to be told: C12.22 sessions, replay and registration."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field, StrictBool

from harness.scenario.base import Part, not_yet
from netem.units import Duration

PERIOD_S_MAX: Final = 0xFF_FFFF
"""A registration period is sent in seconds, three octets."""


def _whole_seconds(value: float) -> float:
    if value % 1:
        raise ValueError("is counted in whole seconds")
    return value


class C12(Part):
    """ANSI C12.22: how relays, meters and head-end talk; DLMS concentrators do not read it."""

    authentication: Literal["none", "password"] = "password"
    """How a client of a meter proves who it is: not at all, or by the password of the Security
    service. What DLMS clients do is ``security.authentication``."""
    sessionless: StrictBool = True
    """Whether tables are read without a session; otherwise a Logon comes first, a Logoff last."""
    security_answer: StrictBool = True
    """Whether a sessionless Security request gets a response of its own. The standard's example
    shows none, a client in the field waits for one."""
    replay: Literal["strict", "window", "off"] = "strict"
    """What passes for new: an initialisation vector greater than the last of its sender (strict),
    within 15 minutes of the receiver's clock (window), or any (off). Devices are known that repeat
    theirs."""
    unregistered: Literal["refuse", "accept"] = "refuse"
    """What the head-end does with a message from a node that has not registered."""
    register_nodes: StrictBool = Field(default=True, alias="register")
    """Whether relays and meters register with the head-end before they speak."""
    registration_period: Annotated[Duration, AfterValidator(_whole_seconds)] = Field(
        default="1 h", ge=1, le=PERIOD_S_MAX, validate_default=True
    )
    """Wall time within which a node must register again."""
    registrations_per_s: int | None = Field(default=None, ge=1, le=1_000_000)
    """Registrations that the head-end takes in a second of wall time; no bound when left out."""
    transport: Annotated[
        Literal["tcp"],
        not_yet(udp='the links of a run carry streams; use "tcp" for the transport of C12.22'),
    ] = "tcp"
    """What carries the messages."""
