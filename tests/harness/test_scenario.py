from __future__ import annotations

import json
import tomllib
from pathlib import Path

import pytest

from harness.errors import ScenarioError
from harness.headend.hooks import Point
from harness.limits import DEFAULT_CHECKS
from harness.scenario import (
    External,
    Freeze,
    Kill,
    MeterEvent,
    Outage,
    Reference,
    Scenario,
    json_schema,
    json_schema_text,
)
from tests.support.scenario_files import SMALL, load, problems, write

SCENARIOS = Path(__file__).parents[2] / "scenarios"
READY = sorted(SCENARIOS.glob("*.toml"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


# ---- the ready scenarios -----------------------------------------------------------------------


@pytest.mark.parametrize("file", READY, ids=lambda file: file.stem)
def test_a_ready_scenario_loads_and_says_what_it_is_for(file: Path) -> None:
    scenario = Scenario.load(file)
    assert scenario.name == file.stem
    assert scenario.description
    assert file.read_text(encoding="utf-8").startswith("#:schema ./scenario.schema.json\n")


@pytest.mark.parametrize("file", READY, ids=lambda file: file.stem)
def test_a_resolved_scenario_is_the_same_scenario(file: Path) -> None:
    scenario = Scenario.load(file)
    resolved = scenario.resolved_json()
    assert Scenario.from_resolved(resolved) == scenario
    assert Scenario.from_resolved(resolved).resolved_json() == resolved


def test_the_quickstart_is_the_one_that_was_promised() -> None:
    scenario = Scenario.load(SCENARIOS / "quickstart.toml")
    assert scenario.grid.transformer_stations == 1000
    assert scenario.grid.meters == 70_000
    assert [(link.profile, link.share) for link in scenario.grid.links] == [
        (f"seed-{number}", 250_000) for number in range(1, 5)
    ]
    for classes, seldom in (
        (scenario.behaviour.concentrators, (300_000, 100_000)),
        (scenario.behaviour.meters, (200_000, 50_000)),
    ):
        assert (classes[1].share, classes[1].reachable) == seldom
    assert scenario.security.push == "ciphered"
    assert scenario.security.confirmed
    assert scenario.span_s / scenario.speed == pytest.approx(60)


def test_the_quickstart_of_the_ansi_world_is_the_one_that_was_promised() -> None:
    dlms, ansi = (
        Scenario.load(SCENARIOS / f"{it}.toml") for it in ("quickstart", "ansi-quickstart")
    )
    assert (ansi.protocol, ansi.security.push, ansi.c12.register_nodes) == ("c12", "ciphered", True)
    assert (ansi.grid.transformer_stations, ansi.grid.meters) == (1000, 70_000)
    assert ansi.grid.links == dlms.grid.links
    assert ansi.behaviour == dlms.behaviour
    assert any(isinstance(event, MeterEvent) for event in ansi.timeline)


def test_the_checked_in_json_schema_is_current() -> None:
    checked_in = (SCENARIOS / "scenario.schema.json").read_text(encoding="utf-8")
    assert checked_in == json_schema_text(), "make schema writes it anew"


def test_every_key_of_a_scenario_is_described_in_the_json_schema() -> None:
    own = {"Scenario", "Security", "Reference", "External", "Outage", "Kill", "Freeze", "Limits"}
    own |= {"C12", "MeterEvent", "Capture", "Flap", "Partition", "Degrade"}
    schema = json_schema()
    models = [schema, *(model for name, model in schema["$defs"].items() if name in own)]
    assert len(models) == len(own)
    for model in models:
        assert all("description" in key for key in model["properties"].values()), model["title"]


# ---- what a scenario means ---------------------------------------------------------------------


def test_every_run_is_judged_by_the_default_checks(folder: Path) -> None:
    checks = load(folder, SMALL).checks
    assert {name: str(limit) for name, limit in checks.items()} == DEFAULT_CHECKS


def test_a_scenarios_own_checks_stand_beside_the_default_ones(folder: Path) -> None:
    checks = load(folder, SMALL + '[checks]\n"readings.late" = "<= 1 %"\n').checks
    assert str(checks["readings.late"]) == "<= 1 %"
    assert checks.keys() == DEFAULT_CHECKS.keys() | {"readings.late"}


def test_a_default_check_can_be_given_another_limit(folder: Path) -> None:
    checks = load(folder, SMALL + '[checks]\n"readings.lost" = "<= 5"\n').checks
    assert str(checks["readings.lost"]) == "<= 5"


def test_the_target_is_the_reference_head_end_unless_said_otherwise(folder: Path) -> None:
    target = load(folder, SMALL).target
    assert isinstance(target, Reference)
    assert target.store.kind == "duckdb"
    assert target.group_commit == 0.1
    assert target.api.host == "127.0.0.1"
    assert not target.defects.acknowledge_before_store


def test_a_head_end_can_be_broken_on_purpose(folder: Path) -> None:
    scenario = load(
        folder,
        SMALL + '[target]\nkind = "reference"\n',
        "target.defects.acknowledge_before_store=true",
        'target.defects.kill={point="before-commit", count=3}',
    )
    assert isinstance(scenario.target, Reference)
    kill = scenario.target.defects.kill
    assert kill is not None
    assert (kill.point, kill.count) == (Point.BEFORE_COMMIT, 3)
    assert Scenario.from_resolved(scenario.resolved_json()) == scenario


LTE = 'links = [{ profile = "lte", share = "100 %" }]\n'
EXTERNAL_ON_LOOPBACK = """\
[target]
kind = "external"
push = { host = "127.0.0.1", port = 4059 }
read_back = { kind = "files", folder = "stored" }
"""
EVENTS = """
[[timeline]]
do = "outage"
at = "01:02:03"
for = "5 min"
links = ["seed-4"]
[[timeline]]
do = "kill"
at = "20 min"
[[timeline]]
do = "freeze"
part = "fleet"
at = "00:20"
for = "2 s"
"""


def test_events_happen_in_scenario_time_since_the_start(folder: Path) -> None:
    events = load(folder, SMALL + EVENTS).timeline
    assert [event.at for event in events] == [3723.0, 1200.0, 1200.0]
    outage, kill, freeze = events
    assert isinstance(outage, Outage)
    assert isinstance(kill, Kill)
    assert isinstance(freeze, Freeze)
    assert outage.lasts == 300.0
    assert outage.share == 1_000_000


EXTERNAL = """
[target]
kind = "external"
push = { host = "10.0.0.1", port = 4059 }
[target.read_back]
kind = "sql"
url = "postgresql://reader@db/x"
query = "select 1"
"""


def test_an_external_head_end_says_how_it_is_read_back(folder: Path) -> None:
    target = load(folder, SMALL + EXTERNAL).target
    assert isinstance(target, External)
    assert target.read_back.kind == "sql"
    assert target.settle == 10.0


@pytest.mark.parametrize(
    ("more", "complaint"),
    [
        (
            'read_back = { kind = "files", folder = "x", columns = { imprt_wh = "a" } }',
            'target.read_back.columns.imprt_wh: there is no such column; did you mean "import_wh"?',
        ),
        (
            'read_back = { kind = "sql", url = "oracle://me:geheim@h", query = "select 1" }',
            "target.read_back.url: ",
        ),
        (
            'read_back = { kind = "files", folder = "x" }\n'
            'watch = { logs = [{ file = "log", count = "(" }] }',
            "target.watch.logs.0.count: is no regular expression",
        ),
    ],
)
def test_a_mistake_in_an_external_target_is_told(more: str, complaint: str, folder: Path) -> None:
    push = 'push = { host = "10.0.0.1", port = 4059 }'
    (line,) = problems(folder, f'{SMALL}[target]\nkind = "external"\n{push}\n{more}\n')
    assert complaint in line
    assert "geheim" not in line


# ---- overrides ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "override",
    [
        'target.group_commit="50 ms"',
        "target.group_commit=50 ms",
        " target . group_commit = '50 ms'",
        'target={kind="reference", group_commit="50 ms"}',
    ],
)
def test_an_override_is_a_toml_value_whose_quotes_a_shell_may_have_eaten(
    folder: Path, override: str
) -> None:
    text = SMALL + '[target]\nkind = "reference"\n'
    target = load(folder, text, override).target
    assert isinstance(target, Reference)
    assert target.group_commit == 0.05


def test_an_override_reaches_into_lists_and_quoted_keys(folder: Path) -> None:
    scenario = load(
        folder,
        SMALL + EVENTS,
        "timeline.1.at=00:30",
        'checks."readings.late"=<= 2 %',
        "security.confirmed=false",
    )
    assert scenario.timeline[1].at == 1800.0
    assert str(scenario.checks["readings.late"]) == "<= 2 %"
    assert not scenario.security.confirmed


def test_the_last_override_of_a_key_counts(folder: Path) -> None:
    assert load(folder, SMALL, "speed=2", "speed=3").speed == 3.0


def test_the_seed_of_the_command_line_replaces_the_scenarios(folder: Path) -> None:
    assert Scenario.load(write(folder, "seed = 1\n" + SMALL), seed=99).seed == 99


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("spee=3", '--set: spee: unknown key; did you mean "speed"?'),
        ("grid.sizs=3", '--set: grid.sizs: unknown key; did you mean "sizes"?'),
        (
            'security."pu=sh"="clear"',
            '--set: security."pu=sh": unknown key; did you mean "push"?',
        ),
        ("speed=-3", "--set: speed: must be greater than 0, not -3"),
        ("speed", '--set speed: write KEY=VALUE, such as "speed=60"'),
        ("=3", '--set =3: write KEY=VALUE, such as "speed=60"'),
        (
            "timeline.3.at=00:30",
            "--set timeline.3.at=00:30: timeline has 3 elements, counted from 0",
        ),
        ("name.x=3", "--set name.x=3: name is no table"),
    ],
)
def test_a_wrong_override_is_named_by_its_option(folder: Path, override: str, line: str) -> None:
    assert problems(folder, SMALL + EVENTS, override) == [line]


def test_a_wrong_seed_is_named_by_its_option(folder: Path) -> None:
    with pytest.raises(ScenarioError, match=r"^--seed: seed: must be greater than or equal to 0"):
        Scenario.load(write(folder, SMALL), seed=-1)


# ---- what is wrong, and where ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param(
            "speed = 0\n" + SMALL, "x.toml:1: speed: must be greater than 0, not 0", id="value"
        ),
        pytest.param(
            "spede = 2\n" + SMALL, 'x.toml:1: spede: unknown key; did you mean "speed"?', id="top"
        ),
        pytest.param(
            SMALL + "\nsizs = []\n",
            'x.toml:5: grid.sizs: unknown key; did you mean "sizes"?',
            id="in-a-table",
        ),
        pytest.param(
            SMALL + '\nlinks = [\n  { profile = "seed-1", shar = "100 %" },\n]\n',
            'x.toml:6: grid.links.0.shar: unknown key; did you mean "share"?',
            id="in-an-inline-table-of-a-list",
        ),
        pytest.param(
            SMALL + EVENTS + 'shrad = 0\n[[timeline]]\ndo = "kill"\nat = "1 s"\n',
            'x.toml:18: timeline.2.shrad: unknown key; did you mean "shard"?',
            id="in-a-union-in-a-list",
        ),
        pytest.param(
            SMALL + '[target]\nkind = "reference"\n[target.gap_filling]\natempts = 3\n',
            'x.toml:7: target.gap_filling.atempts: unknown key; did you mean "attempts"?',
            id="below-a-union",
        ),
        pytest.param(
            SMALL + '[security]\nqqqq = "x"\n',
            "x.toml:5: security.qqqq: unknown key; valid here: "
            "authentication, confirmed, keys, push, suite",
            id="nothing-near",
        ),
        pytest.param(
            SMALL + '[[timeline]]\ndo = "outaeg"\n',
            "x.toml:5: timeline.0.do: must be one of 'outage', 'flap', 'partition', 'degrade', "
            "'kill', 'freeze', 'lose', 'event'; did you mean \"outage\"?",
            id="kind-of-event",
        ),
        pytest.param(
            SMALL + '[target]\nkind = "externl"\n',
            "x.toml:5: target.kind: must be one of 'reference', 'external'; "
            'did you mean "external"?',
            id="kind-of-target",
        ),
        pytest.param(
            SMALL + '[security]\npush = "cyphered"\n',
            "x.toml:5: security.push: must be 'ciphered', 'authenticated' or 'clear'; "
            'did you mean "ciphered"?',
            id="choice",
        ),
        pytest.param(
            "[grid]\ntransformer_stations = -5\n",
            "x.toml:1: name: is missing\n"
            "x.toml:2: grid.transformer_stations: must be greater than or equal to 1, not -5",
            id="negative-size",
        ),
        pytest.param(
            SMALL + 'links = [\n{ profile = "seed-1", share = "101 %" }]\n',
            "x.toml:5: grid.links.0.share: must be less than or equal to 100 %, not 101 %",
            id="impossible-share",
        ),
        pytest.param(
            SMALL + '\nlinks = [{ profile = "seed-1", share = "60 %" }]\n',
            "x.toml:5: grid.links: the shares in links sum to 60 %, not to 100 %",
            id="shares-that-make-no-whole",
        ),
        pytest.param(
            SMALL + '[commands.kinds]\ntime = "50 %"\n',
            "x.toml:4: commands.kinds: the shares of the kinds sum to 135 %, not 100 %",
            id="kinds-that-make-no-whole",
        ),
        pytest.param(
            SMALL + "[limits]\nlag = 2\n",
            'x.toml:5: limits.lag: a unit is missing: write "2 us" or another unit',
            id="unit-missing",
        ),
        pytest.param(
            SMALL + '[checks]\n\n"readings.lots" = "== 0"\n',
            'x.toml:6: checks."readings.lots": nothing of this name is measured; '
            'did you mean "readings.lost"?',
            id="check-name",
        ),
        pytest.param(
            SMALL + '[checks]\n"readings.late" = "<= 1 s"\n',
            "x.toml:5: checks.\"readings.late\": '1 s' is no limit here: "
            'write it as in "== 0" or "<= 1 %"',
            id="check-unit",
        ),
        pytest.param(
            'link = "packets"\n' + SMALL,
            "x.toml:1: link: must be 'model', 'packet', 'netem' or 'none'; "
            'did you mean "packet"?',
            id="link",
        ),
        pytest.param(
            'link = "packet"\n' + SMALL + '[links]\ncongestion = "Cubic!"\n',
            "x.toml:6: links.congestion: must match pattern '^[a-z][a-z0-9_-]{0,14}$'",
            id="congestion",
        ),
        pytest.param(
            'link = "packet"\n' + SMALL + EXTERNAL_ON_LOOPBACK,
            'x.toml:7: target.push.host: with link = "packet" the fleet has a network of its own, '
            "where this is the fleet itself: let your head-end listen on all addresses; "
            'did you mean "172.31.255.1"?',
            id="push-to-loopback",
        ),
        pytest.param(
            'link = "netem"\n' + SMALL + 'links = [{ profile = "g3-plc-cell", share = "100 %" }]\n',
            "x.toml:5: grid.links.0.profile: link profile g3-plc-cell: up.shared: the kernel's "
            "netem "
            'cannot do this; the scenario asks for link = "netem", use "model" or "packet"',
            id="link-of-another-tier",
        ),
        pytest.param(
            'link = "packet"\n' + SMALL.replace("= 10", "= 70_000") + LTE,
            "x.toml:5: grid.links.0.share: a lab has room for 65,534 concentrators on one of them, "
            "and these are 70,000: give more than one the same profile",
            id="more-than-a-lab-has-room-for",
        ),
        pytest.param(
            SMALL + 'links = [{ profile = "sed-1", share = "100 %" }]\n',
            'x.toml:4: grid.links.0.profile: there is no such link profile; did you mean "seed-1"?',
            id="link-profile",
        ),
        pytest.param(
            SMALL + EVENTS.replace("seed-4", "sed-4"),
            "x.toml:9: timeline.0.links.0: no concentrator of the grid has this link; "
            'did you mean "seed-4"?',
            id="link-of-an-event",
        ),
        pytest.param(
            SMALL + EVENTS + "[behaviour]\nsteps = 4\n",
            "x.toml:7: timeline.0.at: happens too late: the last step is over after 3600 s",
            id="event-after-the-end",
        ),
        pytest.param(
            SMALL + EVENTS.replace('"5 min"', '"0 s"'),
            "x.toml:8: timeline.0.for: must be greater than 0 s, not 0 s",
            id="event-of-no-length",
        ),
        pytest.param(
            SMALL + EVENTS + EXTERNAL,
            "x.toml:11: timeline.1.do: an external head-end is not ours to kill or freeze",
            id="killing-what-is-not-ours",
        ),
        pytest.param(
            SMALL + EXTERNAL.replace("push", "# push"),
            "x.toml:5: target.push: is missing: the fleet pushes, so say where to",
            id="push-to-nowhere",
        ),
        pytest.param(
            SMALL + "[load]\nusers = 11\n",
            "x.toml:5: load.users: a user is a slice of concentrators, and there are 10 of them",
            id="more-users-than-concentrators",
        ),
        pytest.param(
            "grid = 5\n" + 'name = "x"', "x.toml:1: grid: must be a table, not 5", id="table"
        ),
        pytest.param(
            "timeline = true\n" + SMALL, "x.toml:1: timeline: must be a list, not true", id="list"
        ),
        pytest.param(
            SMALL.replace("small", "a b"),
            "x.toml:1: name: must match pattern '^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$'",
            id="name",
        ),
        pytest.param("name = \n", "x.toml:1: not TOML: Invalid value", id="syntax"),
        pytest.param(
            SMALL + "[grid]\n", "x.toml:4: not TOML: Cannot declare ('grid',) twice", id="twice"
        ),
    ],
)
def test_a_mistake_names_file_line_key_and_what_was_meant(
    folder: Path, text: str, line: str
) -> None:
    assert problems(folder, text) == line.split("\n")


def test_all_mistakes_of_a_file_come_together_in_its_order(folder: Path) -> None:
    text = 'spede = 1\nnme = "x"\n[grid]\ntransformer_stations = 0\n[security]\nconfirmed = 7\n'
    assert [problem.split(": ")[0] for problem in problems(folder, text)] == [
        "x.toml:1",
        "x.toml:2",
        "x.toml:4",
        "x.toml:6",
    ]


def test_a_missing_scenario_is_named_with_the_one_that_was_meant(folder: Path) -> None:
    write(folder, SMALL, "quickstart.toml")
    with pytest.raises(ScenarioError) as caught:
        Scenario.load(folder / "quikstart.toml")
    assert str(caught.value) == (
        f"{folder}/quikstart.toml: cannot be read: no such file or directory; "
        f'did you mean "{folder}/quickstart.toml"?'
    )


def test_a_scenario_that_is_no_text_is_refused(folder: Path) -> None:
    (folder / "x.toml").write_bytes(b"name = 'x'\n# \xff\n")
    with pytest.raises(ScenarioError, match=r"x\.toml:2: is not UTF-8 text"):
        Scenario.load(folder / "x.toml")


KEYED = SMALL.replace("10", "1") + '[security]\nkeys = "keys.json"\n'
KEYS = {"encryption_key": "00" * 16, "authentication_key": "11" * 16, "secret": "22" * 16}


def write_keys(folder: Path, **keys: object) -> Path:
    return write(folder, json.dumps({"MSC0000000000001": KEYS | keys}), "keys.json")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (KEYED, "x.toml:5: security.keys: there is no file keys.json"),
        (
            SMALL
            + '[[grid.patterns]]\nname = "own"\nsource = "csv:own.csv"\nshare = "100 %"\n'
            + 'export = "csv:own.csv"\n',
            "x.toml:6: grid.patterns.0.source: own.csv: "
            "[Errno 2] No such file or directory: 'own.csv'\n"
            "x.toml:8: grid.patterns.0.export: own.csv: "
            "[Errno 2] No such file or directory: 'own.csv'",
        ),
        (
            'link_profiles = "links.toml"\n' + SMALL,
            "x.toml:1: link_profiles: there is no file links.toml",
        ),
    ],
)
def test_a_missing_file_beside_the_scenario_is_named(folder: Path, text: str, line: str) -> None:
    assert problems(folder, text) == line.split("\n")


def test_a_file_beside_the_scenario_is_found_from_anywhere(folder: Path) -> None:
    keys = write_keys(folder)
    assert load(folder, KEYED).security.keys == keys.resolve()


def test_a_key_file_must_hold_the_keys_of_every_concentrator(folder: Path) -> None:
    write_keys(folder)
    (line,) = problems(folder, KEYED, "grid.transformer_stations=2")
    assert line.startswith("x.toml:5: security.keys: keys.json: no usable keys of")
    assert "MSC0000000000002" in line


def test_a_key_file_must_hold_the_keys_of_every_ansi_meter(folder: Path) -> None:
    devices = ("MSC0000000000001", "MST0000000000001", "MST0000000000002")
    write(folder, json.dumps(dict.fromkeys(devices, KEYS)), "keys.json")
    sizes = 'sizes = [{ name = "two", meters = [2, 2], share = "100 %" }]\n'
    text = KEYED.replace("[security]", sizes + "[security]")
    assert load(folder, 'protocol = "c12"\n' + text).security.keys
    assert load(folder, text, "grid.sizes.0.meters=[3, 3]").security.keys
    (line,) = problems(folder, 'protocol = "c12"\n' + text, "grid.sizes.0.meters=[3, 3]")
    assert line.startswith("x.toml:7: security.keys: keys.json: no usable keys of")
    assert "MST0000000000003" in line


def test_a_resolved_scenario_needs_no_file_of_the_machine_it_ran_on(folder: Path) -> None:
    keys = write_keys(folder)
    scenario = load(folder, KEYED)
    keys.unlink()
    assert Scenario.from_resolved(scenario.resolved_json()) == scenario


def test_a_link_profile_of_ones_own_can_be_used(folder: Path) -> None:
    profile = '[profiles.mine]\ndescription = "x"\nsources = []\nboth = { latency = "1 s" }\n'
    write(folder, profile, "links.toml")
    text = f'link_profiles = "links.toml"\n{SMALL}links = [{{ profile = "mine", share = "100 %" }}]'
    assert load(folder, text).grid.links[0].profile == "mine"


def test_a_mistake_in_a_profile_file_is_reported_at_the_key_that_names_it(folder: Path) -> None:
    write(folder, "[profiles.mine]\nlatncy = 3\n", "links.toml")
    (line,) = problems(folder, 'link_profiles = "links.toml"\n' + SMALL)
    assert line.startswith("x.toml:1: link_profiles: ")
    assert "profiles.mine" in line


def test_a_refused_database_url_is_not_repeated_because_of_its_password(folder: Path) -> None:
    store = '[target]\nkind = "reference"\nstore = { kind = "postgresql", url = "pg://u:secret@h" }'
    (line,) = problems(folder, SMALL + store)
    assert line.startswith("x.toml:6: target.store.url: ")
    assert "secret" not in line


def test_a_scenario_cannot_be_changed(folder: Path) -> None:
    scenario = load(folder, SMALL)
    with pytest.raises(ValueError, match="frozen"):
        scenario.seed = 2  # type: ignore[misc]


def test_the_examples_in_comments_of_the_external_scenario_are_valid_toml() -> None:
    text = (SCENARIOS / "external.toml").read_text(encoding="utf-8")
    marks = ("# keys", "# processes", "# prometheus", "# logs")
    lines = [line[2:] if line.startswith(marks) else line for line in text.splitlines()]
    tomllib.loads("\n".join(lines))
