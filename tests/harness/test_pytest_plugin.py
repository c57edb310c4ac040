"""The pytest plugin, as the suites of its users meet it: in pytest processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ET
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import psutil
import pytest

from harness.check.command import check_run
from harness.pytest_plugin.conducting import conduct
from harness.pytest_plugin.failure import told
from harness.pytest_plugin.orders import Order, Settings, order_of
from harness.pytest_plugin.run import MeterstormRun
from harness.run.preparation import free_ports
from protocols import pcapng
from tests.acceptance.test_external import PUSHED, ending, foreign_head_end, wait_for_json
from tests.support.command_line import ROOT, Ended, small_scenario, start, verdict_of
from tests.support.recorded_run import REMOVE_ONE, RecordedFolder

# Sessions with whole runs: on a busy machine these take their time.
pytestmark = pytest.mark.timeout(300)

PLUGIN: Final = "harness.pytest_plugin"
HEAVY: Final = ("numpy", "pydantic", "trio", "gevent", "locust", "duckdb", "construct", "typer")
PATIENCE_S: Final = 240.0

SUITE: Final = """\
import sys
import pytest

pytestmark = pytest.mark.meterstorm_scenario("small.toml")

@pytest.fixture
def meterstorm_overrides():
    return ["behaviour.steps=2"]

def test_passes(meterstorm_run):
    meterstorm_run.assert_passed()
    meterstorm_run.assert_check("readings.lost")
    assert meterstorm_run.readings.owed == 600
    assert not {"trio", "gevent", "locust"} & sys.modules.keys()

@pytest.mark.meterstorm_scenario("small.toml", seed=9, set=['checks."readings.owed"="== 1"'])
def test_fails(meterstorm_run):
    meterstorm_run.assert_failed("readings.owed")
    meterstorm_run.assert_passed()
"""


def suite(folder: Path, text: str) -> Path:
    """Write a test file, a small scenario and settings of its own."""
    small_scenario(folder)
    (folder / "pytest.ini").write_text("[pytest]\naddopts = --strict-markers\n")
    (folder / "test_suite.py").write_text(text)
    return folder


def command(*words: str) -> list[str]:
    """Return a call of pytest with the plugin, xdist, and nothing else that is installed."""
    return [sys.executable, "-m", "pytest", "-p", PLUGIN, "-p", "xdist", *words]


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    return kept | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}


def start_suite(folder: Path, *words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        command(f"--basetemp={folder / 'tmp'}", *words),
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(session: subprocess.Popen[str]) -> Ended:
    """Wait for the end of a session; the runs of one that is killed drain and end by themselves."""
    try:
        output, _ = session.communicate(timeout=PATIENCE_S)
    except subprocess.TimeoutExpired:
        session.kill()
        # Nothing of it is left to the tests after this one.
        session.communicate()
        raise
    return Ended(session.returncode, output)


def until(there: Callable[[], Any]) -> Any:
    """Return the first true value of ``there``."""
    deadline = time.monotonic() + PATIENCE_S
    while not (found := there()):
        assert time.monotonic() < deadline, "nothing came of it"
        time.sleep(0.05)
    return found


# What a session pays for it


def test_loading_it_costs_nothing() -> None:
    script = (
        "import pytest, time, sys\n"
        "began = time.process_time()\n"
        f"import {PLUGIN}\n"
        "print(time.process_time() - began)\n"
        f"print(sorted(set({HEAVY!r}) & sys.modules.keys()))\n"
    )
    tried = [
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
        ).stdout.splitlines()
        for _ in range(3)
    ]
    assert {loaded for _, loaded in tried} == {"[]"}
    assert min(float(lasted_s) for lasted_s, _ in tried) < 0.05


# What a test orders


SETTINGS: Final = Settings(None, 900.0, 4, 1, skip_inconclusive=False)


def ordered(
    folder: Path, given: dict[str, Any], text: str = "", overrides: tuple[str, ...] = ()
) -> Order:
    (folder / "x.toml").write_text(text)
    return order_of(
        "x.toml", given, settings=SETTINGS, folders=[folder], overrides=overrides, out=folder
    )


def test_what_a_test_sets_goes_after_what_all_of_them_set(tmp_path: Path) -> None:
    order = ordered(tmp_path, {"set": ["speed=2"], "seed": 3}, overrides=("speed=1",))
    assert order.words(Path("out")) == [
        *("run", str(tmp_path / "x.toml"), "--out", "out", "--set", "capture.concentrators=4"),
        *("--set", "speed=1", "--set", "speed=2", "--seed", "3"),
    ]


@pytest.mark.parametrize(
    ("text", "given", "sets"),
    [
        ("[capture]\nconcentrators = 0\n", {}, ()),
        ("", {"set": "capture.concentrators=1"}, ("capture.concentrators=1",)),
        ("", {"replay": 9}, ("capture.concentrators=4", "probes.replay=9")),
        ("[capture]\nconcentrators = 0\n", {"replay": 9}, ("probes.replay=9",)),
    ],
)
def test_what_is_captured_is_the_scenarios_to_say(
    text: str, given: dict[str, Any], sets: tuple[str, ...], tmp_path: Path
) -> None:
    assert ordered(tmp_path, given, text).overrides == sets


def test_the_folder_of_the_test_goes_before_the_rootdir(tmp_path: Path) -> None:
    for name in ("near", "far"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "y.toml").write_text("")
    folders = [tmp_path / "near", tmp_path / "far"]
    order = order_of("y.toml", {}, settings=SETTINGS, folders=folders, overrides=(), out=tmp_path)
    assert order.scenario == tmp_path / "near" / "y.toml"


def test_a_misspelt_argument_and_a_missing_file_are_named(tmp_path: Path) -> None:
    with pytest.raises(pytest.UsageError, match="not sead"):
        ordered(tmp_path, {"sead": 1})
    with pytest.raises(pytest.UsageError, match=r"no scenario .*nowhere\.toml"):
        order_of(
            "nowhere.toml", {}, settings=SETTINGS, folders=[tmp_path], overrides=(), out=tmp_path
        )


# What a test may demand


def judged(folder: Path, *statements: str, **facts: Any) -> MeterstormRun:
    """Return a run that never ran, with what was done to its store."""
    recorded = RecordedFolder(folder, facts=facts)
    recorded.tamper(*statements)
    status = check_run(recorded.path)
    words = ("meterstorm", "run", "x.toml")
    return MeterstormRun(recorded.path, status, words, "tests/test_x.py::test_y")


def test_a_passed_run(tmp_path: Path) -> None:
    run = judged(tmp_path)
    run.assert_passed()
    run.assert_check("readings.lost")
    with pytest.raises(pytest.fail.Exception, match="wanted a failed run"):
        run.assert_failed()
    with pytest.raises(pytest.fail.Exception, match=r"has no check readings\.lots"):
        run.assert_check("readings.lots")
    assert run.properties() == {"verdict": "passed", "seed": "7", "run": str(run.path)}
    assert run.record().verdict == run.judgement


def test_a_failed_run(tmp_path: Path) -> None:
    run = judged(tmp_path, REMOVE_ONE)
    assert run.failed_checks == ("readings.lost",)
    run.assert_failed("readings.lost")
    with pytest.raises(pytest.fail.Exception, match="1 readings acknowledged and not stored"):
        run.assert_passed()
    with pytest.raises(pytest.fail.Exception, match=r"readings\.lost is 1, the limit is == 0"):
        run.assert_check("readings.lost")
    with pytest.raises(pytest.fail.Exception, match=r"these checks held: readings\.wrong"):
        run.assert_failed("readings.lost", "readings.wrong")


def test_a_run_that_proves_nothing(tmp_path: Path) -> None:
    run = judged(tmp_path, doubts=("the machine was asleep",))
    with pytest.raises(pytest.fail.Exception, match="the machine was asleep"):
        run.assert_passed()
    run.skip_inconclusive = True
    with pytest.raises(pytest.skip.Exception, match="the machine was asleep"):
        run.assert_passed()


def test_a_run_whose_replays_were_taken_for_new_or_never_made(tmp_path: Path) -> None:
    run = judged(tmp_path)
    run.replay = 2
    with pytest.raises(pytest.fail.Exception, match="no push was replayed"):
        run.assert_passed()
    (run.path / "replays.json").write_text(
        '{"tried": 2, "accepted": 1, "unreachable": 0, "accounts": ["MSC1: accepted: again"]}'
    )
    with pytest.raises(pytest.fail.Exception, match="1 of 2 replayed pushes were accepted"):
        run.assert_passed()


def test_what_is_told_of_a_run(tmp_path: Path) -> None:
    run = judged(tmp_path, REMOVE_ONE)
    near, far = ("127.1.0.1", 50_000), ("127.0.0.1", 4_059)
    messages = [(near, far, b"first"), (near, far, b"push"), (far, near, bytes(range(200)))]
    packets = [
        pcapng.packet(pcapng.Packet(at_ns, source, target, 4059, octets))
        for at_ns, (source, target, octets) in enumerate(messages)
    ]
    (run.path / "captures").mkdir()
    # The last block is cut off, as that of a run that was killed.
    file = pcapng.section() + b"".join(packets) + packets[0][:-3]
    (run.path / "captures" / "fleet-0.pcapng").write_bytes(file)
    text = told(run)
    for part in (
        f"run        {run.path}",
        "recorded, seed 7",
        "verdict    failed\n           1 readings acknowledged and not stored",
        "reproduce  meterstorm run x.toml --seed 7",
        "pytest tests/test_x.py::test_y",
        "127.1.0.1:50000 -> 127.0.0.1:4059  4 octets\n    0000  70 75 73 68",
        "127.0.0.1:4059 -> 127.1.0.1:50000  200 octets",
        "0070  70 71",
    ):
        assert part in text
    assert b"first".hex(" ") not in text


# Whole runs


@pytest.mark.slow
def test_a_suite_in_parallel_with_junit(tmp_path: Path) -> None:
    suite(tmp_path, SUITE)
    words = ("-n", "2", "--junitxml=junit.xml", "--meterstorm-out=kept", "-W", "error")
    ended = finish(start_suite(tmp_path, *words))
    assert "1 failed, 1 passed" in ended.output, ended.output
    assert "Meterstorm run" in ended.output
    assert "small, seed 9" in ended.output
    assert "exchange   the last one captured" in ended.output
    cases = {case.get("name"): case for case in ET.parse(tmp_path / "junit.xml").iter("testcase")}
    told = {
        name: {item.get("name"): item.get("value") for item in case.iter("property")}
        for name, case in cases.items()
    }
    assert told["test_passes"]["meterstorm_verdict"] == "passed"
    assert told["test_fails"]["meterstorm_verdict"] == "failed"
    assert told["test_fails"]["meterstorm_seed"] == "9"
    run = Path(told["test_fails"]["meterstorm_run"] or "")
    assert run.parent == tmp_path / "kept" / "test_fails"
    assert verdict_of(run).seed == 9
    failure = cases["test_fails"].find("failure")
    assert failure is not None
    assert "readings.owed is 600, the limit is == 1" in (failure.text or "")


@pytest.mark.slow
def test_a_head_end_of_ones_own_is_told_the_devices_before_they_speak(tmp_path: Path) -> None:
    (port,), store = free_ports(1), tmp_path / "theirs.duckdb"
    (tmp_path / "pushed.toml").write_text(PUSHED.format(port=port, store=store))
    with ThreadPoolExecutor(1) as threads:
        lives: list[Future[int]] = []

        def provision(folder: Path) -> None:
            config = tmp_path / "theirs.json"
            config.write_text(foreign_head_end(folder, port, store).model_dump_json())
            lives.append(threads.submit(live_until_drain, folder, config))

        order = order_of(
            "pushed.toml",
            {"provision": provision},
            settings=SETTINGS,
            folders=[tmp_path],
            overrides=(),
            out=tmp_path / "runs",
        )
        run = conduct(order, test="")
    run.assert_passed()
    assert run.readings.owed == run.readings.correct == 300
    assert [life.result() for life in lives] == [0]


def live_until_drain(run: Path, config: Path) -> int:
    """Let our head-end live beside a run as if it were foreign; its store closes when it ends."""
    with ending(start("harness.headend", str(config), cwd=config.parent)) as head_end:
        wait_for_json(run / "run.json", "drain_began_s")
        head_end.terminate()
        return finish(head_end).status


WRONG: Final = """\
import pytest

@pytest.mark.meterstorm_scenario("small.toml", set=["sped=1"])
def test_wrong(meterstorm_run):
    raise AssertionError("never reached")
"""


@pytest.mark.slow
def test_a_wrong_scenario_is_an_error_that_names_the_key(tmp_path: Path) -> None:
    ended = finish(start_suite(suite(tmp_path, WRONG)))
    assert "1 error" in ended.output
    assert "exit status 3" in ended.output
    assert 'did you mean "speed"?' in ended.output


LONG: Final = """\
import pytest

@pytest.mark.meterstorm_scenario("small.toml", set=["speed=1"], timeout_s={timeout_s})
def test_long(meterstorm_run):
    meterstorm_run.assert_passed()
"""


def run_of(folder: Path) -> Path | None:
    """Return the folder of a run that has begun to live."""
    found = list(folder.glob("kept/test_long/*_small_7/run.json"))
    return found[0].parent if found and '"stores": [\n' in found[0].read_text() else None


def children_of(run: Path) -> list[psutil.Process]:
    """Return the processes that know of a run."""
    return [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(str(run.parent) in word for word in process.info["cmdline"] or ())
    ]


@pytest.mark.slow
def test_a_run_that_takes_too_long_drains_and_is_told(tmp_path: Path) -> None:
    suite(tmp_path, LONG.format(timeout_s=40))
    ended = finish(start_suite(tmp_path, "--meterstorm-out=kept"))
    assert "1 failed" in ended.output
    assert "it took more than 40 s and was drained" in ended.output
    run = until(lambda: run_of(tmp_path))
    assert verdict_of(run).verdict == "inconclusive"
    assert children_of(run) == []


@pytest.mark.slow
def test_an_interrupted_session_lets_its_run_drain(tmp_path: Path) -> None:
    suite(tmp_path, LONG.format(timeout_s=600))
    session = start_suite(tmp_path, "--meterstorm-out=kept")
    run = until(lambda: run_of(tmp_path))
    session.send_signal(signal.SIGINT)
    ended = finish(session)
    assert ended.status == pytest.ExitCode.INTERRUPTED, ended.output
    assert any("interrupted by SIGINT" in reason for reason in verdict_of(run).reasons)
    assert children_of(run) == []


@pytest.mark.slow
def test_a_killed_session_leaves_no_run_behind(tmp_path: Path) -> None:
    suite(tmp_path, LONG.format(timeout_s=600))
    session = start_suite(tmp_path, "--meterstorm-out=kept")
    run = until(lambda: run_of(tmp_path))
    session.kill()
    session.communicate()
    until(lambda: not children_of(run))
    assert any("interrupted by SIGTERM" in reason for reason in verdict_of(run).reasons)
