"""The pages on batteries say what there is: routes, fields, checks, fates, policies, modules."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any, Final, get_args

import pytest
from pydantic import BaseModel

from harness.api.asking import ControlClient
from harness.bal.api.app import STATUSES, application
from harness.bal.api.models import Counts, Flow, Status, Values
from harness.bal.control import KINDS
from harness.bal.journal import Fate
from harness.bal.model.sharing import spread
from harness.bal.model.values import Policy
from harness.check.bal import CHECKS
from harness.explain.hints import HINTS
from harness.run.battery_files import BATTERY_COLUMNS, commanded
from harness.scenario import Scenario
from tests.support.scenario_files import load

ROOT: Final = Path(__file__).parent.parent
API: Final = (ROOT / "docs/reference/bal-api.md").read_text(encoding="utf-8")
HOWTO: Final = (ROOT / "docs/howto/test-a-battery-layer.md").read_text(encoding="utf-8")
MODEL: Final = (ROOT / "docs/explanation/batteries.md").read_text(encoding="utf-8")
COVERAGE: Final = (ROOT / "docs/reference/coverage/batteries.md").read_text(encoding="utf-8")
SMALL: Final = """\
name = "small"
grid = { transformer_stations = 2 }
behaviour = { steps = 4 }
"""


def schema() -> dict[str, Any]:
    """Return what the API says of itself; nobody asks it anything."""
    layer = ControlClient("battery layer", Path("nowhere.sock"))
    return application(layer, "token").openapi()


def rows(text: str, head: str) -> list[list[str]]:
    """Return the cells of each row of the table whose head begins with ``head``."""
    (table,) = [part for part in text.split("\n\n") if part.startswith(f"| {head} |")]
    lines = table.strip().splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_every_route_is_told_with_what_it_may_be_asked() -> None:
    routes = {
        (
            method.upper(),
            path,
            tuple(one["name"] for one in found.get("parameters", ()) if one["in"] == "query"),
        )
        for path, methods in schema()["paths"].items()
        for method, found in methods.items()
    }
    told = set()
    for cell, _ in rows(API, "Ask"):
        method, _, address = cell.strip("`").partition(" ")
        path, _, query = address.partition("?")
        told.add((method, path, tuple(re.findall(r"(\w+)=", query))))
    assert told == routes


@pytest.mark.parametrize("model", [Status, Values, Flow, Counts])
def test_every_field_of_an_answer_is_named(model: type[BaseModel]) -> None:
    assert {name for name in model.model_fields if f"`{name}`" not in API} == set()


def test_what_a_command_may_say_is_told() -> None:
    schemas = schema()["components"]["schemas"]
    asked = ["SetCurrent", "SetMagnitude", "ScheduleCurrent", "MakeBattery", "MakeAggregator"]
    for name in (*asked, "MakeSplitter", "SharePart"):
        for field in schemas[name]["properties"]:
            assert f"`{field}`" in API, (name, field)


def test_every_refusal_with_a_status_of_its_own_is_told() -> None:
    told = dict(rows(API, "Status"))
    for kind, status in STATUSES.items():
        assert f"`{kind}`" in told[str(int(status))]
        assert kind in KINDS.values()


def test_fates_and_checks_are_those_there_are() -> None:
    assert {row[0].strip("`") for row in rows(HOWTO, "fate")} == {*get_args(Fate), "none"}
    assert {row[0].strip("`") for row in rows(HOWTO, "check")} == set(CHECKS)
    assert set(CHECKS) <= HINTS.keys()


def test_policies_do_what_the_table_says() -> None:
    told = {row[0]: [[*map(int, cell.split(","))] for cell in row[3:]] for row in _policies()}
    for policy in Policy:
        found = [
            spread(policy, actual, [50, 30, 20], [50, 30, 20], ["1", "2", "3"])
            for actual in (90, 110)
        ]
        assert told[policy.value] == found


def _policies() -> list[list[str]]:
    return rows(MODEL, "policy")


def test_the_topology_of_the_guide_is_one_and_commands_the_two_homes(tmp_path: Path) -> None:
    blocks = re.findall(r"^```toml\n(.*?)^```$", HOWTO, re.DOTALL | re.MULTILINE)
    plain, topology, own, timeline, faces, others = blocks
    assert "battery" in tomllib.loads(topology)
    (tmp_path / "association.toml").write_text(topology)
    scenario: Scenario = load(tmp_path, SMALL + own)
    assert scenario.bal is not None
    assert scenario.batteries is not None
    assert commanded(scenario.bal, scenario.batteries.count) == ["home-1", "home-2"]
    (category,) = scenario.batteries.categories
    for battery in tomllib.loads(topology)["battery"]:
        assert battery["capacity_mah"] == category.capacity[0] == category.capacity[1]
        assert battery["max_charge_ma"] == category.capacity[0] * category.charge_rate // 1_000_000
    assert load(tmp_path, SMALL + plain + timeline).batteries is not None
    spoken = load(tmp_path, SMALL + faces).bal
    assert spoken is not None
    assert [face.speaks for face in spoken.faces] == ["v1", "sunspec"]
    vendor = load(tmp_path, SMALL + "[batteries]\ncount = 60\n" + others).bal
    assert vendor is not None
    assert vendor.target.kind == "external"


def test_what_a_layer_of_others_is_told_is_named() -> None:
    told = HOWTO.partition("## Somebody else's battery layer")[2]
    (file,) = [row for row in rows(told, "file") if row[0] == "`batteries.csv`"]
    assert set(BATTERY_COLUMNS) <= set(re.findall(r"`(\w+)`", file[1]))


def test_the_coverage_page_names_every_module() -> None:
    folders = (
        "protocols/bms", "protocols/batteries", "protocols/sunspec", "protocols/iec61850",
        "harness/bal", "emulator/batteries",
    )  # fmt: skip
    modules = {
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).glob("**/*.py")
        if path.stem not in ("__init__", "__main__")
    }
    assert modules - set(re.findall(r"`([\w/]+\.py)`", COVERAGE)) == set()
