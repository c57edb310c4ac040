"""Becoming able to run a scenario, before anything of it is started.

Links that carry real packets need the right to make network namespaces. Who has it keeps the
namespace the run was started in as the head-end's side of the lab. Who has not is started anew as
root of a user and a network namespace of its own: no root outside, nothing of this machine's
network is touched, and files belong to whom they did. From there only Unix sockets and what the run
itself starts can be reached.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from psycopg import ProgrammingError
from psycopg.conninfo import conninfo_to_dict

from emulator.fleet_config import LAB_TIERS
from harness import probes
from harness.errors import ArgumentsError, Problem, ScenarioError, links_unfit
from harness.run.congestion import check_congestion
from harness.scenario import External, PostgreSqlStore, Reference, Scenario
from harness.scenario.bal import ExternalBal
from netem.namespaces import NotCapableError, become_capable, is_capable

OWN_NAMESPACE: Final = "METERSTORM_OWN_NAMESPACE"
"""Environment variable that says that the run was started anew in namespaces of its own."""
ENTER_FIRST: Final = (
    "start it where you may administer the network: as root, or in a shell of "
    "`unshare --user --map-root-user --net` after `ip link set lo up`"
)


def become_able(
    scenario: Scenario,
    scenario_file: Path,
    arguments: Sequence[str],
    *,
    ui: bool = False,
    attached: bool = False,
    serves: bool = False,
) -> None:
    """Return once this process can run ``scenario``; it may be another process then, of this id.

    Args:
        scenario: what is to be run.
        scenario_file: where it came from.
        arguments: of the command line, to be started anew with.
        ui: whether Locust's page is to be served.
        attached: whether a Locust that runs already will drive it.
        serves: whether the fleet is for somebody who is no part of the run.

    Raises:
        ScenarioError: the scenario needs what cannot be reached from namespaces of its own.
        ArgumentsError: the command line does.
        EnvironmentUnfitError: this machine cannot run it; says what mends that.
    """
    if scenario.link in LAB_TIERS and not is_capable():
        refuse_out_of_reach(scenario, scenario_file, ui=ui, attached=attached, serves=serves)
        _start_anew(scenario.link, arguments)
    _try_the_kernel(scenario.link)
    check_congestion(scenario.links.congestion)


def _try_the_kernel(tier: str) -> None:
    """Find out, before there is a run, whether this kernel has what links of ``tier`` are made of.

    Only those of the kernel need parts that kernels are built without.

    Raises `EnvironmentUnfitError`: it has not; says what mends that.
    """
    refused = probes.links(tier) if tier == "netem" else None
    if refused is not None:
        raise links_unfit(tier, *refused)


def entrance(pid: int) -> str:
    """Return how to get where process ``pid`` listens; empty where it listens for everybody."""
    if OWN_NAMESPACE not in os.environ:
        return ""
    return (
        ", in the run's own network:"
        f" nsenter --user --net --preserve-credentials --target {pid} curl ..."
    )


def _start_anew(tier: str, arguments: Sequence[str]) -> None:
    os.environ[OWN_NAMESPACE] = str(os.getpid())
    try:
        become_capable([sys.executable, "-m", "harness.cli", *arguments])
    except NotCapableError as error:
        del os.environ[OWN_NAMESPACE]
        raise links_unfit(tier, error.reason, error.mend) from error


def refuse_out_of_reach(
    scenario: Scenario,
    scenario_file: Path,
    *,
    ui: bool = False,
    attached: bool = False,
    serves: bool = False,
) -> None:
    """Refuse what a run in a network of its own cannot reach; arguments as of `become_able`.

    Raises:
        ScenarioError: the scenario needs such a thing.
        ArgumentsError: the command line does.
    """
    problems = [
        Problem(str(scenario_file), None, key, message)
        for key, message in _out_of_reach(scenario, serves=serves)
    ]
    if problems:
        raise ScenarioError(tuple(problems))
    what = {
        "--ui: nobody outside could see Locust's page": ui,
        "a Locust that is outside could not drive it (leave it to `meterstorm run`)": attached,
    }
    for why, wanted in what.items():
        if wanted:
            raise ArgumentsError(f"{_own(scenario)}: {why}, or {ENTER_FIRST}")


def _out_of_reach(scenario: Scenario, *, serves: bool) -> Iterator[tuple[str, str]]:
    """Yield the keys of what a run in namespaces of its own cannot reach, and why."""
    own, target = _own(scenario), scenario.target
    if scenario.bal is not None and isinstance(scenario.bal.target, ExternalBal):
        yield "bal.target.kind", f"{own}, and your battery layer is not in it: {ENTER_FIRST}"
    if serves:
        yield "link", f"{own}, and nobody outside could reach the fleet: {ENTER_FIRST}"
    elif isinstance(target, External):
        yield "target.kind", f"{own}, and your head-end is not in it: {ENTER_FIRST}"
    elif isinstance(target, Reference) and isinstance(target.store, PostgreSqlStore):
        server = _server(target.store.url)
        if server:
            yield (
                "target.store.url",
                f"{own}, and PostgreSQL at {server} is not in it: reach it over its Unix socket "
                f"(postgresql:///name?host=/var/run/postgresql), or {ENTER_FIRST}",
            )


def _own(scenario: Scenario) -> str:
    return f'with link = "{scenario.link}" the run has a network of its own'


def _server(url: str) -> str | None:
    """Return the host that a URL names; None: it is reached over a Unix socket."""
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        # Whoever connects will say what is wrong with it.
        return None
    host = str(parts.get("hostaddr") or parts.get("host") or os.environ.get("PGHOST", ""))
    return None if host.startswith(("/", "@")) else host or None
