"""What a run tells the C12.22 plug-in: `SessionOptions`, its particular part, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

from protocols.c12.epsem import ResponseControl, SecurityMode
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.meter import DEFAULT_SETTINGS, MeterSchema, MeterSettings, meter_schema
from protocols.c12.options import ChannelOptions
from protocols.c12.plugin.naming import title_of
from protocols.errors import LocalProtocolError
from protocols.plugin import RegisterDescription, SessionOptions

T = TypeVar("T")
WATT_HOUR: Final = 30
DEFAULT_LOGICAL_NAMES: Final = "1-0:1.8.0.255 1-0:1.8.1.255 1-0:1.8.2.255 1-0:2.8.0.255"
MODES: Final[Mapping[str, SecurityMode]] = {
    "clear": SecurityMode.CLEAR,
    "authenticated": SecurityMode.AUTHENTICATED,
    "ciphered": SecurityMode.CIPHERED,
}


@dataclass(frozen=True)
class C12Options:
    """The options of a run, as both ends of a connection understand them.

    ``security``: how messages are protected, and the least that is accepted. ``confirmed``: whether
    pushers want an answer. ``replay``: what becomes of a vector that is not newer than the last.
    ``unregistered``: whether a push of a node that is not registered is refused. ``register``:
    whether nodes register; ``registration_period_s`` for how long, in real seconds (u24), which is
    also the most that a head-end grants. ``head_end``: the device name of the head-end that a
    relay reports to. ``capture_period_s`` and ``logical_names`` (OBIS codes, parted by blanks) say
    what meters capture, and ``load_profile_blocks`` (u16) how many captures they keep, and so how
    their tables look.

    ``sessionless``, ``authentication`` and ``security_answer``: how head-ends read meters.
    """

    security: SecurityMode = SecurityMode.CIPHERED
    confirmed: bool = True
    timeout_s: float = 30.0
    replay: ReplayRule = ReplayRule.STRICT
    unregistered: Literal["refuse", "accept"] = "refuse"
    register: bool = True
    registration_period_s: int = 3600
    head_end: bytes = b"MSH0000000000001"
    capture_period_s: int = 900
    logical_names: str = DEFAULT_LOGICAL_NAMES
    load_profile_blocks: int = DEFAULT_SETTINGS.blocks
    authentication: Literal["none", "password"] = "password"
    sessionless: bool = True
    security_answer: bool = True

    @classmethod
    def of(cls, options: SessionOptions) -> C12Options:
        """Return the options in ``options``; what is not there has its default.

        Raises:
            LocalProtocolError: a value that makes no sense; names it.
        """
        given = options.particular
        period_s = _number(given, "registration_period_s", 3600, 0xFF_FFFF)
        return cls(
            _chosen("protection", options.protection, MODES),
            options.confirmed,
            options.timeout_s,
            _chosen("replay", given.get("replay", "strict"), _REPLAY),
            _word(given, "unregistered", "refuse", "accept"),
            _flag(given, "register_nodes", True),
            period_s,
            _device(given, "head_end", b"MSH0000000000001"),
            _number(given, "capture_period_s", 900, 0xFFFF_FFFF),
            str(given.get("logical_names", DEFAULT_LOGICAL_NAMES)),
            _number(given, "load_profile_blocks", DEFAULT_SETTINGS.blocks, 0xFFFF),
            _word(given, "authentication", "password", "none"),
            _flag(given, "sessionless", True),
            _flag(given, "security_answer", True),
        )

    @property
    def response_control(self) -> ResponseControl:
        """What a pusher says about answers."""
        return ResponseControl.ALWAYS if self.confirmed else ResponseControl.NEVER

    @property
    def channel(self) -> ChannelOptions:
        """How messages are checked."""
        return ChannelOptions(replay=self.replay, required_security=self.security)

    @cached_property
    def settings(self) -> MeterSettings:
        """How long the lists of meters are."""
        return replace(DEFAULT_SETTINGS, blocks=self.load_profile_blocks)

    @cached_property
    def schema(self) -> MeterSchema:
        """How the tables of meters look. Raises `LocalProtocolError`: no OBIS codes.

        Unit and scaler stand for nothing here: the layout of load profiles has neither.
        """
        return meter_schema(
            [
                RegisterDescription(name, _logical_name(name), WATT_HOUR, 0)
                for name in self.logical_names.split()
            ],
            self.capture_period_s,
            self.settings,
        )


_REPLAY: Final = {rule.value: rule for rule in ReplayRule}


def _logical_name(text: str) -> bytes:
    """Return the six octets of an OBIS code, ``A-B:C.D.E.F``."""
    try:
        octets = bytes(int(group) for group in text.replace("-", ".").replace(":", ".").split("."))
    except ValueError:
        octets = b""
    if len(octets) != 6:
        raise LocalProtocolError(f'logical_names: "{text}" is no OBIS code')
    return octets


def _chosen(name: str, word: object, known: Mapping[str, T]) -> T:
    found = known.get(word) if isinstance(word, str) else None
    if found is None:
        raise LocalProtocolError(f'{name}: "{word}", known: {", ".join(known)}')
    return found


def _device(given: Mapping[str, object], name: str, default: bytes) -> bytes:
    device = str(given.get(name, default.decode())).encode()
    try:
        title_of(device)
    except ValueError as exc:
        raise LocalProtocolError(f"{name}: {exc}") from exc
    return device


def _word(given: Mapping[str, object], name: str, default: str, other: str) -> Any:  # noqa: ANN401 - one of two literals
    return _chosen(name, given.get(name, default), {word: word for word in (default, other)})


def _flag(given: Mapping[str, object], name: str, default: bool) -> bool:
    value = given.get(name, default)
    if not isinstance(value, bool):
        raise LocalProtocolError(f"{name}: {value!r} is neither true nor false")
    return value


def _number(given: Mapping[str, object], name: str, default: int, highest: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or not 1 <= value <= highest:
        raise LocalProtocolError(f"{name}: {value!r} is no whole number from 1 to {highest}")
    return value
