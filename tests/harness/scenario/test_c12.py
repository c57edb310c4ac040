from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.scenario_files import SMALL, load, problems

ANSI = 'protocol = "c12"\n' + SMALL


def test_an_ansi_fleet_needs_no_words_of_its_own(tmp_path: Path) -> None:
    c12 = load(tmp_path, ANSI).c12
    assert c12.authentication == "password"
    assert c12.sessionless
    assert c12.replay == "strict"
    assert c12.register_nodes
    assert c12.registration_period == 3600
    assert c12.registrations_per_s is None


def test_every_word_can_be_said(tmp_path: Path) -> None:
    more = """
[c12]
authentication = "none"
sessionless = false
security_answer = false
replay = "window"
unregistered = "accept"
register = false
registration_period = "15 min"
registrations_per_s = 2_000
transport = "tcp"
"""
    c12 = load(tmp_path, ANSI + more).c12
    assert (c12.authentication, c12.replay, c12.unregistered) == ("none", "window", "accept")
    assert not any((c12.sessionless, c12.security_answer, c12.register_nodes))
    assert (c12.registration_period, c12.registrations_per_s) == (900, 2000)


@pytest.mark.parametrize(
    ("word", "said"),
    [
        (
            'transport = "udp"',
            'transport: the links of a run carry streams; use "tcp" for the transport of C12.22',
        ),
        (
            'replay = "windw"',
            "replay: must be 'strict', 'window' or 'off'; did you mean \"window\"?",
        ),
        (
            'registration_period = "0 s"',
            "registration_period: must be greater than or equal to 1 s",
        ),
        ('registration_period = "1500 ms"', "registration_period: is counted in whole seconds"),
        ("registration_period = 60", "registration_period: a unit is missing"),
        ("registrations_per_s = 0", "registrations_per_s: must be greater than or equal to 1"),
        ("registr = true", 'registr: unknown key; did you mean "register"?'),
    ],
)
def test_a_wrong_word_is_told_at_its_line(word: str, said: str, tmp_path: Path) -> None:
    (line,) = problems(tmp_path, f"{ANSI}[c12]\n{word}\n")
    assert line.startswith(f"x.toml:6: c12.{said}")
