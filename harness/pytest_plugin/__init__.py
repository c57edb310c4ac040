"""The pytest plugin: scenarios as tests of your own suite.

Each run is a child process: nothing of the emulator, the load driver or their event loops enters
the process that runs your tests. Nothing but the standard library is imported until a test asks for
a run. ``docs/reference/pytest-plugin.md`` is the reference.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import Final, TypeAlias

import pytest

from harness.pytest_plugin.orders import Settings, order_of
from harness.pytest_plugin.run import MeterstormRun

__all__ = ["MeterstormRun", "Runner"]

MARKER: Final = "meterstorm_scenario"
RUNS: Final = pytest.StashKey[list[MeterstormRun]]()
"""The runs that a test has made, in order."""
OPTIONS: Final = (
    ("out", str, "DIR", "keep the folders of runs below DIR (default: the test's tmp_path)"),
    ("timeout", float, "SECONDS", "wall time of one run, then it drains (default: 900)"),
    ("capture", int, "N", "concentrators whose octets are kept, for the last exchange (default 4)"),
    ("tries", int, "N", "how often a run is made until it proves something (default: 1)"),
    ("inconclusive", str, "fail|skip", "what assert_passed makes of a run that proves nothing"),
)
DEFAULTS: Final[dict[str, str | float | int | None]] = {
    "out": None,
    "timeout": 900.0,
    "capture": 4,
    "tries": 1,
    "inconclusive": "fail",
}

Runner: TypeAlias = Callable[..., MeterstormRun]
"""Takes what the marker takes: ``runner(scenario, set=..., seed=..., replay=...)``."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add ``--meterstorm-...`` options, each with an ini setting of the same name."""
    group = parser.getgroup("meterstorm", "runs of Meterstorm scenarios")
    for name, kind, metavar, told in OPTIONS:
        choices = ("fail", "skip") if name == "inconclusive" else None
        group.addoption(
            f"--meterstorm-{name}",
            type=kind,
            metavar=metavar,
            help=told,
            default=None,
            choices=choices,
        )
        parser.addini(f"meterstorm_{name}", told, default=None)


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker."""
    config.addinivalue_line(
        "markers",
        f"{MARKER}(scenario, *, set=(), seed=None, timeout_s=None, replay=0, provision=None): the "
        "scenario that meterstorm_run runs; relative to the test's file, or to the rootdir",
    )


def settings_of(config: pytest.Config) -> Settings:
    """Return what options and ini settings say: an option goes before a setting."""
    chosen: dict[str, object] = {}
    for name, kind, _, _ in OPTIONS:
        value = config.getoption(f"meterstorm_{name}", default=None)
        if value is None and (written := config.getini(f"meterstorm_{name}")):
            value = kind(written)
        chosen[name] = DEFAULTS[name] if value is None else value
    return Settings.of(chosen)


@pytest.fixture
def meterstorm_overrides() -> Iterable[str]:
    """Return what every run of a test sets, as ``--set`` would. Override it, to name a head-end."""
    return ()


@pytest.fixture
def meterstorm_out(request: pytest.FixtureRequest) -> Path:
    """Return the folder below which the runs of a test are made."""
    kept = settings_of(request.config).out
    if kept is None:
        tmp_path: Path = request.getfixturevalue("tmp_path")
        return tmp_path / "meterstorm"
    return request.config.invocation_params.dir / kept


@pytest.fixture
def meterstorm_runner(
    request: pytest.FixtureRequest, meterstorm_out: Path, meterstorm_overrides: Iterable[str]
) -> Runner:
    """Return a function that runs a scenario to its verdict and returns the run."""
    node, settings = request.node, settings_of(request.config)
    runs = node.stash.setdefault(RUNS, [])

    def runner(scenario: str | Path, **given: object) -> MeterstormRun:
        from harness.pytest_plugin.conducting import conduct

        order = order_of(
            scenario,
            given,
            settings=settings,
            folders=(node.path.parent, request.config.rootpath, Path.cwd()),
            overrides=tuple(meterstorm_overrides),
            out=meterstorm_out / order_name(node.name, len(runs)),
        )
        run = conduct(order, test=node.nodeid)
        runs.append(run)
        for name, value in run.properties().items():
            # As `record_property` does, which warns where pytest writes the newer JUnit.
            node.user_properties.append((f"meterstorm_{name}", value))
        return run

    return runner


@pytest.fixture
def meterstorm_run(request: pytest.FixtureRequest, meterstorm_runner: Runner) -> MeterstormRun:
    """Run the scenario of the test's marker and return the recorded run."""
    marker = request.node.get_closest_marker(MARKER)
    if marker is None or len(marker.args) != 1:
        raise pytest.UsageError(f'meterstorm_run wants @pytest.mark.{MARKER}("scenario.toml")')
    return meterstorm_runner(marker.args[0], **marker.kwargs)


def order_name(test: str, number: int) -> str:
    """Return the name of a folder for the ``number``-th run of a test."""
    plain = "".join(letter if letter.isalnum() or letter in "-_." else "-" for letter in test)
    return f"{plain[:80].strip('-.')}-{number}" if number else plain[:80].strip("-.")


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, object, None]:
    """Put what is known of its runs beside the failure of a test."""
    outcome = yield
    report: pytest.TestReport = outcome.get_result()  # type: ignore[attr-defined]
    if not report.failed:
        return
    for run in item.stash.get(RUNS, []):
        from harness.pytest_plugin.failure import told

        report.sections.append(("Meterstorm run", told(run)))
