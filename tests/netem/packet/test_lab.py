"""The packet tier for real: the kernel's TCP and UDP over a lab, as an ordinary user.

Each lab is opened by a child of its own inside a user namespace (`live`), which prints what it
measured; the judgements are here, by formulae.
"""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
from functools import cache
from itertools import pairwise
from math import sqrt
from statistics import fmean, pstdev
from typing import Any

import pytest

from netem import namespaces
from netem.lab import FAULTS
from netem.namespaces import NotCapableError, check_user_namespaces
from tests.support.command_line import ROOT
from tests.support.ordinary_user import OrdinaryUser, ordinary_user


@pytest.fixture(autouse=True)
def user_namespaces() -> None:
    """Skip where an ordinary user may have no namespaces; a CI machine has to let them."""
    error = refusal()
    if error is not None and os.environ.get("CI") == "true":
        raise error
    if error is not None:
        pytest.skip(str(error))


@cache
def refusal() -> NotCapableError | None:
    """Return why there are no user namespaces here, if there are none."""
    try:
        check_user_namespaces()
    except NotCapableError as error:
        return error
    return None


def start(name: str) -> subprocess.Popen[str]:
    """Start a measurement of `live` as an ordinary user who is root of namespaces of their own."""
    user = ordinary_user()
    # Where nobody can start Python, root of a user namespace has no more rights there than they.
    command, environment = (
        (user.command, user.environment)
        if isinstance(user, OrdinaryUser)
        else ((sys.executable,), {})
    )
    return subprocess.Popen(
        [
            *command,
            str(namespaces.__file__),
            command[-1],
            "-m",
            "tests.netem.packet.live",
            name,
        ],
        cwd=ROOT,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        text=True,
    )


@cache
def measured(name: str) -> dict[str, Any]:
    """Return what a measurement found; each is made once."""
    with start(name) as child:
        output, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    found: dict[str, Any] = json.loads(output)
    return found


@pytest.mark.slow
@pytest.mark.parametrize(("which", "mean_s", "sigma_s"), [(0, 0.2, 0.06), (1, 0.4, 0.12)])
def test_delays_have_the_mean_and_deviation_of_their_class(
    which: int, mean_s: float, sigma_s: float
) -> None:
    delays_s = measured("measure_in_order")["measure_delays"]["delays_s"][which]
    assert len(delays_s) == 1_200
    assert fmean(delays_s) == pytest.approx(mean_s, rel=0.05)
    assert pstdev(delays_s) == pytest.approx(sigma_s, rel=0.05)


@pytest.mark.slow
def test_loss_is_within_its_interval() -> None:
    found = measured("measure_in_order")
    count, lost = found["measure_losses"]["sent"], len(found["measure_losses"]["lost"])
    assert found["lossy"]["lost"] == lost, "lost somewhere else than on the link"
    assert abs(lost - 0.1 * count) < 2.58 * sqrt(count * 0.1 * 0.9)


@pytest.mark.slow
def test_the_same_packets_under_the_same_seed_meet_the_same_fate() -> None:
    first, again = measured("measure_in_order"), measured("measure_again")
    assert first["measure_losses"]["lost"] == again["measure_losses"]["lost"]


@pytest.mark.slow
def test_a_link_keeps_its_order_and_netem_does_not() -> None:
    link = measured("measure_again")["measure_order"]["marks"]
    netem = measured("measure_netem")["measure_order"]["marks"]
    assert link == sorted(netem) == list(range(150))
    # Draws of packets 10 ms apart, whose difference has a deviation of 85 ms, swap in 45 %.
    assert sum(after < before for before, after in pairwise(netem)) > 0.3 * 150


@pytest.mark.slow
def test_a_packet_rate_is_met_after_the_burst() -> None:
    arrived_s = measured("measure_in_order")["measure_rate"]["arrived_s"]
    assert len(arrived_s) == 50
    assert (len(arrived_s) - 1) / (arrived_s[-1] - arrived_s[0]) == pytest.approx(15, rel=0.02)


@pytest.mark.slow
def test_tcp_retransmits_what_the_link_loses() -> None:
    found = measured("measure_in_order")["measure_tcp"]
    assert found["intact"]
    assert found["lost"] > 0
    assert 0.5 * found["lost"] <= found["retransmitted"] <= 3 * found["lost"] + 3


@pytest.mark.slow
def test_an_outage_falls_on_those_it_is_for_and_ends() -> None:
    found = measured("measure_in_order")["measure_changes"]
    assert found["marks"] == [0, 1, 10, 30, 31]
    assert found["refused"] == "there is no link class 6"


@pytest.mark.slow
def test_odd_frames_harm_nobody_and_fragments_arrive_whole() -> None:
    found = measured("measure_in_order")["measure_odd_frames"]
    assert found["marks"] == [7]
    assert found["unclassified"] == 1


@pytest.mark.slow
def test_two_hundred_and_forty_concentrators_connect_at_once() -> None:
    found = measured("measure_again")["measure_many"]
    assert found["answered"] == found["asked"] == 240


@pytest.mark.slow
def test_both_sides_are_watched_and_nothing_is_amiss() -> None:
    found = measured("measure_in_order")
    assert found["listening"] == ["fleet", "head-end"]
    assert set(found["tracking"].values()) <= {0}
    # A machine that is too busy may make the emulator late, which is no fault of its own.
    assert [note for note in found["notes"] if "late" not in note] == []
    assert found["faults"] == dict.fromkeys(FAULTS, 0)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["measure_in_order", "measure_again", "measure_netem"])
def test_a_closed_lab_leaves_nothing(name: str) -> None:
    assert measured(name)["left"] == []


@pytest.mark.slow
def test_a_lab_without_its_emulator_says_so() -> None:
    found = measured("lose_emulator")
    assert found["reasons"] == ["the packet emulator has ended"] * 2
    assert found["left"] == []


@pytest.mark.slow
def test_an_emulator_that_cannot_keep_up_says_what_it_missed() -> None:
    found = measured("stall_emulator")
    assert found["before"] == dict.fromkeys(FAULTS, 0)
    assert found["after"].pop("missed") > 1_000
    assert set(found["after"].values()) == {0}
    assert found["left"] == []


@pytest.mark.slow
def test_a_second_lab_in_one_network_is_refused_and_harms_nobody() -> None:
    found = measured("open_two")
    reason, mend = found["refused"]
    assert reason.startswith(f"another lab is open in this network, of process {found['owner']},")
    assert "wait until its run has ended" in mend
    assert "unshare --net" in mend
    assert found["faults"] == dict.fromkeys(FAULTS, 0)


@pytest.mark.slow
def test_the_emulator_ends_with_a_killed_owner() -> None:
    with start("hold") as child:
        assert child.stdout is not None
        (emulator,) = json.loads(child.stdout.readline())
        descriptor = os.pidfd_open(emulator)
        try:
            child.kill()
            ended, _, _ = select.select([descriptor], [], [], 10)
        finally:
            os.close(descriptor)
    assert ended, "the emulator outlives its owner"
