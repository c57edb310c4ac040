"""What the documents name exists: links, commands, scenarios, modules, tests, metrics, classes."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Final, get_args

import pytest
import typer
from typer.testing import CliRunner

from harness.cli import app
from harness.scenario import Scenario
from netem.profiles import load_profiles
from protocols.dlms.association import mermaid
from protocols.dlms.cosem.classes import INTERFACE_CLASSES
from reports.recording.events import Event
from reports.recording.series import Metric

ROOT: Final = Path(__file__).parent.parent
PAGES: Final = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
COVERAGE: Final = ROOT / "docs/reference/coverage/dlms.md"
RECORDED: Final = ROOT / "docs/reference/metrics-and-events.md"
MADE_BY_THE_READER: Final = frozenset({"scenarios/my-town.toml"})

_FENCE: Final = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FILE: Final = re.compile(
    r"`((?:protocols|emulator|netem|harness|reports|tests|scenarios)/[\w./-]+\.\w+)`"
)
_VERB: Final = re.compile(r"`(?:\.venv/bin/)?meterstorm ([a-z]+)")

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))


def prose(page: Path) -> str:
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def blocks(page: Path, language: str) -> Iterator[str]:
    for found, text in _FENCE.findall(page.read_text(encoding="utf-8")):
        if found == language:
            yield text


def commands(page: Path, program: str) -> Iterator[list[str]]:
    """Yield the arguments of every call of ``program`` in the console blocks of a page."""
    for block in blocks(page, "console"):
        for line in block.splitlines():
            if line.startswith("$ ") and program in line:
                words = shlex.split(line.removeprefix("$ "), comments=True)
                at = next((i for i, word in enumerate(words) if word.endswith(program)), None)
                if at is not None:
                    yield words[at + 1 :]


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.+)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}


@each_page
def test_every_relative_link_leads_somewhere(page: Path) -> None:
    for link in _LINK.findall(prose(page)):
        if "://" in link:
            continue
        path, _, anchor = link.partition("#")
        target = (page.parent / path).resolve() if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_every_file_that_is_named_exists(page: Path) -> None:
    missing = {name for name in _FILE.findall(prose(page)) if not (ROOT / name).exists()}
    assert missing <= MADE_BY_THE_READER | {"netem/kernel.py"}


@each_page
def test_every_verb_and_option_that_is_named_exists(page: Path) -> None:
    known = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    assert set(_VERB.findall(prose(page))) <= known.keys()
    for words in commands(page, "meterstorm"):
        verb, *rest = words
        assert verb in known
        options = {option for parameter in known[verb].params for option in parameter.opts}
        assert {word for word in rest if word.startswith("--")} <= options


@each_page
def test_every_scenario_that_is_run_is_valid_with_what_is_set(page: Path) -> None:
    for words in commands(page, "meterstorm"):
        files = [word for word in words if word.endswith(".toml")]
        changes = [words[i + 1] for i, word in enumerate(words) if word == "--set"]
        for file in set(files) - MADE_BY_THE_READER:
            Scenario.load(ROOT / file, changes, None)


@each_page
def test_every_target_of_make_exists(page: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for words in commands(page, "make"):
        assert {word for word in words if "=" not in word} <= targets


@each_page
def test_every_toml_block_can_be_read(page: Path) -> None:
    for block in blocks(page, "toml"):
        tomllib.loads(block)


def test_the_tutorials_scenario_is_valid_and_its_mistakes_are_told(tmp_path: Path) -> None:
    page = ROOT / "docs/tutorials/first-scenario.md"
    text = next(blocks(page, "toml"))
    file = tmp_path / "my-town.toml"
    file.write_text(text)
    assert Scenario.load(file, [], None).name == "my-town"
    wrong = text.replace("transformer_stations", "transformer_station")
    file.write_text(wrong.replace("steps = 4", "steps = -4"))
    told = CliRunner().invoke(app, ["validate", str(file)])
    for line in str(told.exception).splitlines():
        assert line.replace(str(file), "scenarios/my-town.toml") in page.read_text()


def test_every_scenario_is_in_the_readme() -> None:
    named = set(re.findall(r"\(scenarios/([\w-]+\.toml)\)", (ROOT / "README.md").read_text()))
    assert named == {path.name for path in ROOT.glob("scenarios/*.toml")}


def test_every_built_in_link_profile_is_named() -> None:
    page = (ROOT / "docs/howto/impair-a-link.md").read_text()
    named = {"seed-2", "seed-3"} | set(re.findall(r"`([\w-]+)`", page))
    assert load_profiles().keys() <= named


def test_every_page_is_in_the_contents() -> None:
    contents = ROOT / "docs/README.md"
    linked = {(contents.parent / link).resolve() for link in _LINK.findall(contents.read_text())}
    assert set(ROOT.glob("docs/**/*.md")) - linked - {contents} == set()


@pytest.mark.parametrize("class_id", INTERFACE_CLASSES)
def test_the_coverage_page_has_every_class_with_its_attributes_and_methods(class_id: int) -> None:
    item = INTERFACE_CLASSES[class_id]
    attributes = ", ".join(f"{spec.number} {spec.name}" for spec in item.attributes.values())
    methods = ", ".join(f"{spec.number} {spec.name}" for spec in item.methods.values()) or "none"
    row = f"| {item.name} | {item.class_id} | {item.version} | {attributes} | {methods} |"
    assert row in COVERAGE.read_text()


def test_the_coverage_page_names_every_module_of_the_protocol() -> None:
    # What every row rests on without being a row itself.
    shared = {"problem", "declaration", "fields", "layout", "descriptors", "fast"}
    named = set(_FILE.findall(COVERAGE.read_text()))
    folders = [ROOT / "protocols/dlms/axdr", ROOT / "protocols/dlms/apdu", ROOT / "protocols/dlms"]
    modules = [path for folder in folders for path in folder.glob("*.py")]
    missing = {str(path.relative_to(ROOT)) for path in modules if path.stem not in shared} - named
    assert {name for name in missing if not name.endswith("__init__.py")} == {
        "protocols/dlms/foreign_rows.py",
        "protocols/dlms/refusals.py",
    }


def test_the_diagram_of_the_association_is_the_table() -> None:
    page = ROOT / "docs/reference/association-states.md"
    assert list(blocks(page, "mermaid")) == [mermaid()]


def test_every_event_with_its_fields_and_every_metric_is_on_the_page() -> None:
    page = RECORDED.read_text()
    for event in get_args(Event):
        names = {name for base in event.__mro__ for name in getattr(base, "__annotations__", ())}
        kind = event.__dataclass_fields__["kind"].default
        row = next(line for line in page.splitlines() if f"`{kind}`" in line)
        assert all(f"`{name}`" in row for name in names - {"kind", "at"}), kind
    for metric in Metric:
        assert f"`{metric.value}`" in page
