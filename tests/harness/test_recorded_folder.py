"""Every verb that takes a recorded run says what is wrong with what it was given, and the mend."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

import pytest

from harness.check.command import check_run
from harness.cli import main
from harness.errors import ExitCode
from harness.recorded_folder import UnreadableRunError, reading, recorded_folder
from tests.support.recorded_run import RecordedFolder

Output = pytest.CaptureFixture[str]
VERBS: Final[dict[str, Callable[[str], list[str]]]] = {
    "check": lambda run: ["check", run],
    "report": lambda run: ["report", run],
    "explain": lambda run: ["explain", run],
    "explain a check": lambda run: ["explain", run, "readings.late"],
    "compare": lambda run: ["compare", run, run],
}
NEEDED: Final = {
    "resolved.json": set(VERBS),
    "run.json": {"check", "explain", "explain a check"},
    "fleet.json": {"check", "explain", "explain a check"},
    "verdict.json": {"explain", "explain a check"},
}
"""Which verbs cannot do without which file."""
every_verb = pytest.mark.parametrize("verb", VERBS)


@pytest.fixture(scope="module")
def judged(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A recorded run with all its parts."""
    folder = tmp_path_factory.mktemp("judged")
    run = RecordedFolder(folder)
    check_run(run.path)
    return run.path


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    """A copy of it."""
    return shutil.copytree(judged, tmp_path / "run")


def told(verb: str, run: Path, capsys: Output) -> str:
    """Return what a verb that was given no usable run says."""
    capsys.readouterr()
    assert main(VERBS[verb](str(run))) == ExitCode.BAD_SCENARIO
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    assert "[Errno" not in said
    return said.removeprefix("meterstorm: ").strip()


@every_verb
def test_a_whole_record_is_read(verb: str, run: Path) -> None:
    assert main(VERBS[verb](str(run))) == ExitCode.PASSED


@every_verb
@pytest.mark.parametrize("file", NEEDED)
def test_a_missing_part_is_named_with_its_mend(
    verb: str, file: str, run: Path, capsys: Output
) -> None:
    (run / file).unlink()
    if verb not in NEEDED[file]:
        # A comparison of what was not judged proves nothing.
        unjudged = verb == "compare" and file == "verdict.json"
        expected = ExitCode.INCONCLUSIVE if unjudged else ExitCode.PASSED
        assert main(VERBS[verb](str(run))) == expected
        return
    said = told(verb, run, capsys)
    assert str(run) in said
    assert re.search(r"verdict" if file == "verdict.json" else re.escape(file), said)
    assert "; " in said


@every_verb
@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"\xff\xfe", b"[]"])
@pytest.mark.parametrize("file", ["resolved.json", "run.json", "fleet.json", "verdict.json"])
def test_a_damaged_part_is_told_and_is_no_mistake_of_ours(
    verb: str, file: str, damage: bytes, run: Path, capsys: Output
) -> None:
    (run / file).write_bytes(damage)
    capsys.readouterr()
    status = main(VERBS[verb](str(run)))
    assert status in {ExitCode.PASSED, ExitCode.INCONCLUSIVE, ExitCode.BAD_SCENARIO}
    said = capsys.readouterr().err
    assert status != ExitCode.BAD_SCENARIO or (file in said and "; " in said)
    if verb.startswith("explain"):
        assert status == ExitCode.BAD_SCENARIO


@pytest.mark.parametrize("verb", ["check", "compare"])
def test_a_last_word_of_a_shard_that_was_cut_short_is_told(
    verb: str, run: Path, capsys: Output
) -> None:
    (run / "ledger" / "shard-0" / "summary.json").write_text('{"latencies": [')
    assert "shard-0/summary.json: " in told(verb, run, capsys)


@every_verb
def test_a_run_that_never_began_says_so(verb: str, run: Path, capsys: Output) -> None:
    for path in run.iterdir():
        if path.name != "resolved.json":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    if verb in NEEDED["run.json"]:
        said = told(verb, run, capsys)
        assert said.startswith(f"{run} has no ")
        assert "run the scenario again" in said
    else:
        assert main(VERBS[verb](str(run))) in {ExitCode.PASSED, ExitCode.INCONCLUSIVE}


@every_verb
def test_no_folder_a_file_and_another_folder_are_no_runs(
    verb: str, tmp_path: Path, capsys: Output
) -> None:
    (tmp_path / "file").touch()
    for given, lacks in (
        (tmp_path / "nowhere", "there is no such folder"),
        (tmp_path / "file", "it is a file"),
        (tmp_path, "it has no resolved.json"),
    ):
        said = told(verb, given, capsys)
        assert said.startswith(f"{given} is no recorded run: {lacks}; ")
        assert said.endswith(
            "give the folder of a run, such as runs/latest; meterstorm run makes one"
        )


@every_verb
def test_the_run_that_is_near_is_named(verb: str, run: Path, capsys: Output) -> None:
    (run.parent / "latest").symlink_to(run.name)
    assert told(verb, run.parent, capsys).endswith(f"did you mean {run.parent / 'latest'}?")
    assert told(verb, run / "logs", capsys).endswith(f"did you mean {run}?")
    assert told(verb, run / "verdict.json", capsys).endswith(f"did you mean {run}?")


def test_links_are_followed_so_that_a_newer_run_does_not_slip_in(run: Path) -> None:
    latest = run.parent / "latest"
    latest.symlink_to(run.name)
    assert recorded_folder(latest) == run.resolve()


def test_a_lack_of_the_machine_is_no_damage(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="Too many open"), reading(tmp_path):
        raise OSError(24, os.strerror(24), str(tmp_path / "run.json"))


def test_what_may_not_be_read_says_which_right_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "run.json"
    with pytest.raises(UnreadableRunError) as told, reading(tmp_path):
        raise PermissionError(13, os.strerror(13), str(file))
    assert str(told.value) == f"{file}: Permission denied; see that you may read and write it"
