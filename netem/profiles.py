"""Link profiles: what a link does to packets, as data with sources.

A profile says what a link *is*; `LinkOptions` say how its figures are to be *read* where the
sources leave that open. The same file serves the built-in model and the kernel's netem and HTB:
``latency``, ``jitter``, ``distribution`` and ``loss`` are netem's delay, its table and its loss
law; ``packet_rate`` is an HTB class whose ``mpu`` charges every packet one full ``mtu``; ``rate``
is netem's (or HTB's) rate in bits.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from netem.traces import read_trace
from netem.units import BitRate, ByteSize, Duration, PartsPerMillion

BUILT_IN_PATH: Final = Path(__file__).with_name("profiles.toml")
TCP_IP_HEADERS: Final = 52
"""Octets of IPv4 (20) and TCP (20) header and the TCP timestamp option (12) in each packet."""

LONGEST_JITTER_S: Final = (2**31 - 1) / 1e9
"""Of a way of a link of the kernel's netem, which cuts it there: 32-bit nanoseconds."""


class ProfileError(ValueError):
    """A profile file cannot be used; names the file and, where there is one, the key."""

    def __init__(self, path: Path, key: str, problem: str) -> None:
        self.path = path
        self.key = key
        self.problem = problem
        super().__init__(f"{path}: {key}: {problem}" if key else f"{path}: {problem}")


Direction = Literal["up", "down"]
"""``up`` is from the concentrator to the head-end."""
Tier = Literal["model", "packet", "netem", "none"]
"""How a profile is brought about; see docs/explanation/links.md."""


class TierUnfitError(ValueError):
    """A profile asks for what a tier cannot do."""

    def __init__(self, profile: str, key: str, tier: Tier, why: str = "cannot do this") -> None:
        self.profile = profile
        self.key = key
        self.tier = tier
        self.why = f"the kernel's netem {why}"
        super().__init__(
            f"link profile {profile}: {key}: {self.why};"
            f' the scenario asks for link = "{tier}", use "model" or "packet"'
        )


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RandomLoss(_Strict):
    """Each packet is lost with the same chance, whatever happened to its neighbours."""

    kind: Literal["random"] = "random"
    share: PartsPerMillion = 0

    @property
    def mean_ppm(self) -> float:
        """Packets lost of a million, in the long run."""
        return self.share

    @property
    def variance(self) -> float:
        """Variance of the number of packets lost of n, divided by n, for large n."""
        share = self.share / 1e6
        return share * (1 - share)


class GilbertElliottLoss(_Strict):
    """Loss in bursts: a good and a bad state, as netem's ``loss gemodel``."""

    kind: Literal["gilbert-elliott"]
    to_bad: PartsPerMillion
    """Chance per packet to go from good to bad (netem's p)."""
    to_good: PartsPerMillion
    """Chance per packet to go from bad to good (netem's r)."""
    in_bad: PartsPerMillion = 1_000_000
    """Share lost while bad (netem's 1-h)."""
    in_good: PartsPerMillion = 0
    """Share lost while good (netem's 1-k)."""

    @property
    def bad_share(self) -> float:
        """Share of the packets that meet the bad state, in the long run."""
        either = self.to_bad + self.to_good
        return self.to_bad / either if either else 0.0

    @property
    def mean_ppm(self) -> float:
        """Packets lost of a million, in the long run."""
        return self.bad_share * self.in_bad + (1 - self.bad_share) * self.in_good

    @property
    def variance(self) -> float:
        """Variance of the number of packets lost of n, divided by n, for large n.

        More than that of random loss of the same share, because losses come together: a two-state
        chain is correlated over k packets by (1 - to_bad - to_good)^k. Infinite where the state
        never changes.
        """
        share = self.mean_ppm / 1e6
        either = (self.to_bad + self.to_good) / 1e6
        if not either:
            return math.inf
        spread = self.bad_share * (1 - self.bad_share) * ((self.in_bad - self.in_good) / 1e6) ** 2
        return share * (1 - share) + 2 * spread * (1 - either) / either


def _share_as_random_loss(value: object) -> object:
    return {"kind": "random", "share": value} if isinstance(value, str) else value


Loss = Annotated[
    RandomLoss | GilbertElliottLoss,
    BeforeValidator(_share_as_random_loss),
    Field(discriminator="kind"),
]
"""A loss law; the text ``"0.1 %"`` is short for random loss."""


class PacketRate(_Strict):
    """A limit in packets per second for each connection, with the burst that passes at once."""

    per_second: int = Field(gt=0, le=1_000_000)
    burst: int = Field(default=5, gt=0, le=10_000)
    """Packets of a TCP connection that pass at once after a pause."""
    burst_other: int = Field(default=1, gt=0, le=10_000)
    """The same for other traffic; only the packet and kernel tiers carry any."""


QUEUE_OCTETS: Final = 150_000
"""What waits at most for a shared or traced capacity: a hundred full packets."""


class SharedRate(_Strict):
    """A capacity that the concentrators of a cell share: an air interface, a power line.

    Cells are of consecutive numbers: concentrators 0 to ``cell`` - 1 are the first, as far as
    they have this profile. The kernel's netem has no cells.
    """

    rate: BitRate
    cell: int = Field(gt=0, le=100_000)
    queue: ByteSize = QUEUE_OCTETS
    """A packet is dropped that finds more than this waiting in its cell, itself included."""


class TraceRate(_Strict):
    """A capacity that follows a packet-delivery trace, each concentrator from a point of its own.

    The kernel's netem follows no traces.
    """

    file: str = Field(min_length=1)
    """The trace, in mahimahi's format (`netem.traces`), relative to the file of the profile."""
    queue: ByteSize = QUEUE_OCTETS
    """A packet is dropped that finds more than this waiting, itself included."""

    @field_validator("file")
    @classmethod
    def _find(cls, file: str, info: ValidationInfo) -> str:
        if info.context is None:
            return file
        path = (info.context["folder"] / file).resolve()
        read_trace(path)
        return str(path)


def _file_as_trace(value: object) -> object:
    return {"file": value} if isinstance(value, str) else value


class LinkDirection(_Strict):
    """What happens to packets in one direction."""

    latency: Duration = 0.0
    jitter: Duration = 0.0
    """Standard deviation of a normal, half width of a uniform distribution."""
    distribution: Literal["normal", "uniform", "constant"] = "constant"
    loss: Loss = RandomLoss()
    rate: BitRate | None = None
    packet_rate: PacketRate | None = None
    shared: SharedRate | None = None
    trace: Annotated[TraceRate | None, BeforeValidator(_file_as_trace)] = None

    @model_validator(mode="after")
    def _one_medium(self) -> Self:
        if self.shared is not None and self.trace is not None:
            raise ValueError("give either a shared rate or a trace")
        return self

    @model_validator(mode="after")
    def _jitter_fits_distribution(self) -> Self:
        if (self.jitter > 0) == (self.distribution == "constant"):
            raise ValueError("jitter and distribution go together: give both or neither")
        return self

    def part_of_round_trip(self) -> LinkDirection:
        """Return this direction with its delay figures read as those of the round trip.

        Half the latency falls to each way, and the deviation over the square root of two, so that
        two independent ways together have the latency and deviation that were given.
        """
        return self.model_copy(
            update={"latency": self.latency / 2, "jitter": self.jitter / math.sqrt(2)}
        )


class Source(_Strict):
    """Where a figure comes from and how far it can be trusted."""

    figure: str = Field(min_length=1)
    text: str = Field(min_length=1)
    confidence: Literal["measured", "read", "recalled", "guess"]


class LinkProfile(_Strict):
    """One kind of link. ``up`` is from the concentrator to the head-end, ``down`` the way back."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    description: str = Field(min_length=1)
    sources: tuple[Source, ...]
    latency_means: Literal["each-way", "round-trip", "open"] = "each-way"
    """What ``latency`` and ``jitter`` count; ``open``: the source does not say, the options do."""
    mtu: int = Field(default=1500, ge=256, le=65_535)
    up: LinkDirection
    down: LinkDirection

    @model_validator(mode="after")
    def _queues_hold_a_packet(self) -> Self:
        for direction in (self.up, self.down):
            for medium in (direction.shared, direction.trace):
                if medium is not None and medium.queue < self.mtu:
                    raise ValueError(f"the queue must hold a full packet of {self.mtu} B")
        return self

    def way(self, direction: Direction) -> LinkDirection:
        """Return what happens in one direction."""
        return self.up if direction == "up" else self.down

    @property
    def cell(self) -> int:
        """The least common multiple of its cells' sizes; 1 where no capacity is shared."""
        shared = [way.shared.cell for way in (self.up, self.down) if way.shared is not None]
        return math.lcm(*shared)

    def check_tier(self, tier: Tier) -> None:
        """Raise where a tier cannot bring this link about.

        Raises:
            TierUnfitError: the profile follows a trace, shares a capacity or has more jitter than
                the kernel's netem knows, and that is ``tier``. Whether jitter counts each way is
                for `each_way` to say first.
        """
        if tier != "netem":
            return
        for name, way in (("up", self.up), ("down", self.down)):
            for word, medium in (("trace", way.trace), ("shared", way.shared)):
                if medium is not None:
                    raise TierUnfitError(self.name, f"{name}.{word}", tier)
            if way.jitter > LONGEST_JITTER_S:
                why = f"knows no jitter above {LONGEST_JITTER_S:.3f} s"
                raise TierUnfitError(self.name, f"{name}.jitter", tier, why)

    @property
    def segment_octets(self) -> int:
        """Octets of data in one full TCP segment."""
        return self.mtu - TCP_IP_HEADERS

    @property
    def is_perfect(self) -> bool:
        """Whether nothing at all happens to packets on this link."""
        return self.up == self.down == LinkDirection()

    def each_way(self, options: LinkOptions) -> LinkProfile:
        """Return the same link with the delays of each way, as ``options`` read them."""
        meaning = options.latency if self.latency_means == "open" else self.latency_means
        if meaning == "each-way":
            return self.model_copy(update={"latency_means": "each-way"})
        return self.model_copy(
            update={
                "latency_means": "each-way",
                "up": self.up.part_of_round_trip(),
                "down": self.down.part_of_round_trip(),
            }
        )


class LinkOptions(_Strict):
    """How the figures of the profiles are to be read and applied."""

    latency: Literal["each-way", "round-trip"] = "each-way"
    """For profiles that leave it open: whether the latency counts each way or both together."""
    limit: Literal["shape", "police"] = "shape"
    """What happens to packets above the packet rate: they wait, or they are dropped."""
    order: Literal["link", "netem"] = "link"
    """``link`` delivers packets in order, as radio and power line do; ``netem`` draws every
    packet's delay for itself, so that packets overtake each other and TCP retransmits in vain."""


def load_profiles(extra_path: Path | None = None) -> Mapping[str, LinkProfile]:
    """Return the built-in profiles, and those of ``extra_path``, by name.

    Raises:
        ProfileError: a file is unreadable, no TOML, or holds a wrong, misspelt or missing value;
            or the extra file defines a name that is built in.
    """
    profiles = _read_profiles(BUILT_IN_PATH)
    if extra_path is not None:
        extra = _read_profiles(extra_path)
        for name in sorted(extra.keys() & profiles.keys()):
            raise ProfileError(extra_path, f"profiles.{name}", "is a built-in profile's name")
        profiles.update(extra)
    return profiles


def _read_profiles(path: Path) -> dict[str, LinkProfile]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProfileError(path, "", error.strerror or str(error)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ProfileError(path, "", str(error)) from error
    for key in document.keys() - {"profiles"}:
        raise ProfileError(path, key, "unknown key; profiles go under [profiles.<name>]")
    tables = document.get("profiles", {})
    if not isinstance(tables, dict):
        raise ProfileError(path, "profiles", "must hold one table for each profile")
    return {name: _profile(path, name, table) for name, table in tables.items()}


def _profile(path: Path, name: str, table: object) -> LinkProfile:
    key = f"profiles.{name}"
    if not isinstance(table, dict):
        raise ProfileError(path, key, "must be a table")
    try:
        return LinkProfile.model_validate(
            {"name": name} | _with_both_directions(path, key, table),
            context={"folder": path.parent},
        )
    except ValidationError as error:
        first = min(error.errors(), key=lambda one: one["type"] != "extra_forbidden")
        where = ".".join([key, *(str(part) for part in first["loc"])])
        raise ProfileError(path, where, _explain(first)) from error


def _with_both_directions(path: Path, key: str, table: dict[str, Any]) -> dict[str, Any]:
    """Spell out ``both`` as ``up`` and ``down``."""
    if "both" not in table:
        return table
    if "up" in table or "down" in table:
        raise ProfileError(path, f"{key}.both", "give either both, or up and down")
    rest = {name: value for name, value in table.items() if name != "both"}
    return rest | {"up": table["both"], "down": table["both"]}


def _explain(error: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails
    if error["type"] != "extra_forbidden":
        return str(error["msg"])
    known = {name for model in _MODELS for name in model.model_fields} | {"both"}
    nearest = get_close_matches(str(error["loc"][-1]), sorted(known), n=1)
    return "unknown key" + (f"; did you mean {nearest[0]}?" if nearest else "")


_MODELS: Final = (
    LinkProfile,
    LinkDirection,
    PacketRate,
    SharedRate,
    TraceRate,
    GilbertElliottLoss,
    RandomLoss,
    Source,
)
