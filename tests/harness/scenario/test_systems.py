"""What a scenario says of the systems beside the head-end: batteries, their layer, billing."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import pytest

from harness.bal.model.refresh import RefreshMode
from harness.bal.model.values import Policy
from harness.scenario.bal import ExternalBal, ReferenceBal
from harness.scenario.billing import ExternalBilling, ReferenceBilling
from tests.support.scenario_files import SMALL, load, problems

BATTERIES = SMALL + "[batteries]\ncount = 20\n"
BAL = "[bal]\nvirtual = 4\n"
BILLING = """\
[billing]
time_zone = "Europe/Berlin"
rates = [{ month = "2026-03", peak = "0.3", off_peak = "0.2", peak_hours = "07:00-22:00" }]
"""
FOREIGN = (
    SMALL
    + '[target]\nkind = "external"\npush = { host = "127.0.0.1", port = 4059 }\n'
    + 'read_back = { kind = "files", folder = "theirs" }\n'
)
LAYER = '[bal.target]\nkind = "external"\n'
THEIRS = '[billing.target]\nkind = "external"\n'


def test_a_billing_system_of_others_may_go_with_any_head_end(tmp_path: Path) -> None:
    for head_end in (SMALL, FOREIGN):
        text = head_end + BILLING + THEIRS + 'bills = "b.csv"\n'
        scenario = load(tmp_path, text)
        assert scenario.billing is not None
        assert isinstance(scenario.billing.target, ExternalBilling)
        assert type(scenario).from_resolved(scenario.resolved_json()) == scenario
    ours = load(tmp_path, SMALL + BILLING).billing
    assert ours is not None
    assert isinstance(ours.target, ReferenceBilling)
    assert not ours.virtual_meters
    assert not ours.load_driver.asks


def test_a_battery_layer_of_others_has_a_url(tmp_path: Path) -> None:
    text = BATTERIES + BAL + 'obeys_within = "5 s"\n' + LAYER + 'url = "http://h:9/bal"\n'
    scenario = load(tmp_path, text)
    assert scenario.bal is not None
    assert scenario.bal.target == ExternalBal(kind="external", url="http://h:9/bal")
    assert scenario.bal.target.has_api
    assert scenario.bal.obeys_within == 5
    assert type(scenario).from_resolved(scenario.resolved_json()) == scenario
    spoken = load(tmp_path, BATTERIES + BAL + LAYER + 'url = "v1://h:4004"\n').bal
    assert spoken is not None
    assert spoken.target == ExternalBal(kind="external", url="v1://h:4004")
    assert not spoken.target.has_api
    files = "".join(f'{name} = "x.toml"\n' for name in ("certificate", "key", "authorities"))
    secured = load(tmp_path, BATTERIES + BAL + LAYER + 'url = "v3://h:4004"\n' + files).bal
    assert secured is not None
    assert isinstance(secured.target, ExternalBal)
    assert secured.target.tls is not None
    assert secured.target.tls.key == tmp_path / "x.toml"
    ours = load(tmp_path, BATTERIES + BAL).bal
    assert ours is not None
    assert (ours.target, ours.obeys_within) == (ReferenceBal(), 60)


def test_as_many_partitions_as_meters_may_be_behind_them(tmp_path: Path) -> None:
    text = (
        SMALL
        + "meters = 400\n[batteries]\ncount = 500\n[bal]\nvirtual = 400\n"
        + 'partitions = [{ name = "a", share = "60 %" }]\n'
        + BILLING
        + "virtual_meters = true\n"
    )
    assert load(tmp_path, text).billing is not None


def test_batteries_and_their_layer_have_defaults(tmp_path: Path) -> None:
    scenario = load(tmp_path, BATTERIES + BAL)
    assert scenario.bal is not None
    assert scenario.batteries is not None
    assert scenario.batteries.count == 20
    assert (scenario.bal.virtual, scenario.bal.policy) == (4, Policy.PROPORTIONAL)
    assert scenario.bal.refresh is RefreshMode.LAZY
    assert scenario.bal.staleness == 900
    assert scenario.bal.load_driver.status_per_s == 0
    assert load(tmp_path, SMALL).bal is None


def test_what_is_written_comes_back_from_the_resolved_scenario(tmp_path: Path) -> None:
    text = BATTERIES + BAL + "[bal.load]\nstatus_per_s = 2.5\n" + BILLING
    scenario = load(tmp_path, text)
    assert type(scenario).from_resolved(scenario.resolved_json()) == scenario
    assert scenario.billing is not None
    assert scenario.billing.tariffs.rates[0].peak == Decimal("0.3")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SMALL + BAL, "there are no batteries"),
        (BATTERIES + "[bal]\n", 'say how many batteries are "virtual"'),
        (BATTERIES + "[bal]\nvirtual = 21\n", "there are only 20 batteries"),
        (BATTERIES + '[bal]\nvirtual = 2\ntopology = "x.toml"\n', "virtual"),
        (
            BATTERIES
            + "[bal]\nvirtual = 2\npartitions = ["
            + '{ name = "a", share = "60 %" }, { name = "b", share = "60 %" }]\n',
            "120 %",
        ),
        (BATTERIES + "[bal]\nvirtual = 2\napi = false\n[bal.load]\nstatus_per_s = 1\n", "API"),
        (
            SMALL + '[batteries]\ncount = 2\nlinks = [{ profile = "gpsr", share = "100 %" }]\n',
            "no such link profile",
        ),
        (SMALL + BILLING.replace("2026-03", "2026-13"), "month"),
        (SMALL + BILLING.replace('"0.3"', '"-0.3"'), "rates"),
        (SMALL + BILLING.replace("Europe/Berlin", "Europe/Berlyn"), "time_zone"),
        (SMALL + '[billing]\ntime_zone = "UTC"\nrates = []\n', "rates"),
        (FOREIGN + BILLING, "[billing.target]"),
        (SMALL + BILLING + THEIRS, "say where its bills will be"),
        (
            SMALL + BILLING + THEIRS + 'bills = "b.csv"\nbills_url = "http://h/"\n',
            "where its bills",
        ),
        (SMALL + BILLING + THEIRS + 'bills = "b.txt"\n', "bills"),
        (SMALL + BILLING + THEIRS + 'bills = "b.csv"\nurl = "ftp://h/"\n', "url"),
        (SMALL + BILLING + THEIRS + 'bills = "b.csv"\ntoken_file = "x.toml"\n', '"token_file" is'),
        (SMALL + BILLING + THEIRS + 'bills = "b.csv"\ntoken_file = "no"\n', "there is no file"),
        (
            SMALL + BILLING + THEIRS + 'bills = "b.csv"\n[billing.load]\nexports_per_s = 1\n',
            'say its "url"',
        ),
        (
            SMALL
            + '[[timeline]]\nat = "00:01"\ndo = "kill"\npart = "billing"\n'
            + BILLING
            + THEIRS
            + 'bills = "b.csv"\n',
            "not ours to kill",
        ),
        (BATTERIES + BAL + LAYER, "url"),
        (BATTERIES + BAL + LAYER + 'url = "h:9"\n', "url"),
        (BATTERIES + BAL + LAYER + 'url = "http://h"\ntoken_file = "no"\n', "there is no file"),
        (BATTERIES + BAL + 'obeys_within = "0 s"\n', "obeys_within"),
        (BATTERIES + BAL + LAYER + 'url = "v1://h"\n', "url"),
        (BATTERIES + BAL + LAYER + 'url = "v4://h:4004"\n', "url"),
        (BATTERIES + BAL + LAYER + 'url = "v3://h:4004"\n', "are of v3"),
        (BATTERIES + BAL + LAYER + 'url = "v3://h:4004"\nkey = "x.toml"\n', "needs all"),
        (BATTERIES + BAL + LAYER + 'url = "v1://h:4004"\nkey = "x.toml"\n', "are of v3"),
        (BATTERIES + BAL + LAYER + 'url = "v1://h:1"\ntoken_file = "x.toml"\n', "no token"),
        (
            BATTERIES
            + BAL
            + 'schedule = [{ battery = "b", current = 1, at = "00:10", for = "1 min" }]\n'
            + LAYER
            + 'url = "v1://h:1"\n',
            "over HTTP only",
        ),
        (
            BATTERIES
            + BAL
            + 'partitions = [{ name = "a", share = "1 %" }]\n'
            + LAYER
            + 'url = "v1://h:1"\n'
            + BILLING
            + "virtual_meters = true\n",
            "does not say what virtual meters registered",
        ),
        (BATTERIES + BAL + "api = false\n" + LAYER + 'url = "http://h"\n', "are of our layer"),
        (
            BATTERIES
            + BAL
            + 'faces = [{ speaks = "v1", port = 4004 }]\n'
            + LAYER
            + 'url = "http://h"\n',
            "are of our layer",
        ),
        (
            BATTERIES
            + '[[timeline]]\nat = "00:01"\ndo = "kill"\npart = "bal"\n'
            + BAL
            + LAYER
            + 'url = "http://h"\n',
            "an external battery layer is not ours to kill",
        ),
        (SMALL + BILLING + "virtual_meters = true\n", "no partitions to meter"),
        (BATTERIES + BAL + BILLING + "virtual_meters = true\n", "no partitions to meter"),
        (
            SMALL
            + "meters = 400\n[batteries]\ncount = 500\n[bal]\nvirtual = 401\n"
            + 'partitions = [{ name = "a", share = "60 %" }]\n'
            + BILLING
            + "virtual_meters = true\n",
            "401 partitions cannot be behind",
        ),
    ],
)
def test_what_cannot_be_is_said_with_its_place(tmp_path: Path, text: str, said: str) -> None:
    lines = problems(tmp_path, text)
    assert any(said in line for line in lines), lines
    assert all(line.startswith("x.toml:") for line in lines), lines
