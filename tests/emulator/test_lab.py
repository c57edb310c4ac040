"""A shard moves to the fleet's side of a lab: in a process of its own, in namespaces of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from emulator.lab import FleetSide, leave_no_trace, move_to_fleet_side
from netem import namespaces
from netem.namespaces import NotCapableError, check_user_namespaces

MOVES = """
import os, sys
from pathlib import Path
from emulator.lab import FleetSide, move_to_fleet_side
from netem.namespaces import Namespace
run, here = Path(sys.argv[1]), os.readlink("/proc/self/ns/net")
with Namespace.create() as fleet:
    FleetSide(namespace=fleet.path).write(run)
    wanted = f"net:[{os.fstat(fleet.fd).st_ino}]"
    move_to_fleet_side(run)
    print(here != wanted == os.readlink("/proc/self/ns/net"))
"""


def test_a_shard_lives_where_the_run_says(tmp_path: Path) -> None:
    try:
        check_user_namespaces()
    except NotCapableError as error:
        pytest.skip(str(error))
    command = [sys.executable, namespaces.__file__, sys.executable, "-c", MOVES, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=os.getcwd())
    assert done.stdout == "True\n", done.stderr


def test_without_a_lab_nobody_moves(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        move_to_fleet_side(tmp_path)


def test_nothing_tells_of_a_lab_that_is_gone(tmp_path: Path) -> None:
    FleetSide(namespace="/proc/1/fd/3").write(tmp_path)
    assert FleetSide.load(tmp_path).namespace == "/proc/1/fd/3"
    leave_no_trace(tmp_path)
    leave_no_trace(tmp_path)
    assert list(tmp_path.iterdir()) == []
