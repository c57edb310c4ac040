"""What a run may say to the plug-in."""

from __future__ import annotations

import pytest

from emulator.fleet_config import C12Options as Scenario
from protocols.c12.epsem import ResponseControl, SecurityMode
from protocols.c12.initialization_vectors import ReplayRule
from protocols.c12.plugin import C12Options, C12Plugin
from protocols.errors import LocalProtocolError
from protocols.plugin import SessionOptions
from tests.protocols.c12.plugin.uplink import World


def of(**particular: object) -> C12Options:
    return C12Options.of(SessionOptions(particular=particular))


def test_the_defaults_are_those_of_a_scenario() -> None:
    assert of(**Scenario().model_dump()) == of() == C12Options()


@pytest.mark.parametrize(
    ("word", "mode"),
    [
        ("clear", SecurityMode.CLEAR),
        ("authenticated", SecurityMode.AUTHENTICATED),
        ("ciphered", SecurityMode.CIPHERED),
    ],
)
def test_protection_is_the_security_mode_and_the_least_accepted(
    word: str, mode: SecurityMode
) -> None:
    chosen = C12Options.of(SessionOptions(protection=word))
    assert chosen.security is mode
    assert chosen.channel.required_security is mode


def test_what_a_scenario_says_is_understood() -> None:
    chosen = of(
        **Scenario(
            authentication="none",
            sessionless=False,
            security_answer=False,
            replay="window",
            unregistered="accept",
            register_nodes=False,
            registration_period_s=60,
        ).model_dump(),
        head_end="MSH0000000000003",
        capture_period_s=300,
        logical_names="1-0:1.8.0.255 1-0:32.7.0.255",
        load_profile_blocks=20_000,
    )
    assert chosen.schema.settings.blocks == chosen.settings.blocks == 20_000
    assert (chosen.authentication, chosen.sessionless, chosen.security_answer) == (
        "none",
        False,
        False,
    )
    assert chosen.replay is chosen.channel.replay is ReplayRule.WINDOW
    assert (chosen.unregistered, chosen.register, chosen.registration_period_s) == (
        "accept",
        False,
        60,
    )
    assert chosen.head_end == b"MSH0000000000003"
    assert chosen.schema.period_s == 300
    assert chosen.schema.counts.tolist() == [True, False]


@pytest.mark.parametrize(("confirmed", "control"), [(True, 0), (False, 2)])
def test_who_wants_no_confirmation_never_wants_a_response(confirmed: bool, control: int) -> None:
    chosen = C12Options.of(SessionOptions(confirmed=confirmed))
    assert chosen.response_control is ResponseControl(control)


@pytest.mark.parametrize(
    "particular",
    [
        {"replay": "sometimes"},
        {"unregistered": "perhaps"},
        {"register_nodes": "yes"},
        {"registration_period_s": 0},
        {"registration_period_s": 1 << 24},
        {"capture_period_s": "900"},
        {"authentication": 1},
        {"head_end": "MSX"},
    ],
)
def test_nonsense_is_named(particular: dict[str, object]) -> None:
    (name,) = particular
    with pytest.raises(LocalProtocolError, match=name):
        of(**particular)


def test_an_unknown_protection_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="protection"):
        C12Options.of(SessionOptions(protection="mostly"))


@pytest.mark.parametrize("names", ["1-0:1.8.0", "import", "1-0:1.8.0.999"])
def test_what_is_no_obis_code_is_named(names: str) -> None:
    with pytest.raises(LocalProtocolError, match="OBIS"):
        _ = of(logical_names=names).schema


def test_a_session_refuses_options_that_make_no_sense() -> None:
    world = World()
    with pytest.raises(LocalProtocolError, match="replay"):
        C12Plugin().push_session(
            world.credentials, world.relay_counters, SessionOptions(particular={"replay": ""})
        )
