"""Two runs over real packets at once in one network: the second says why it cannot, and goes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from harness.errors import ExitCode
from netem import namespaces
from netem.namespaces import NotCapableError, check_user_namespaces
from tests.support.command_line import ROOT, verdict_of

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCENARIO: Final = """\
name = "lab"
speed = 300
link = "packet"
[grid]
transformer_stations = 4
meters = 16
sizes = [{ name = "small", meters = [2, 6], share = "100 %" }]
links = [{ profile = "lte", share = "100 %" }]
[behaviour]
steps = 2
[target.api]
enabled = false
[checks]
"readings.late" = "<= 100 %"
"""
# The second begins once the first has its lab.
BOTH: Final = """
export PYTHONPATH=$1
"$0" -m harness.cli run lab.toml --out first > first.txt 2>&1 &
first=$!
until test -e first/latest/links.json || ! kill -0 $first 2> /dev/null; do sleep 0.1; done
"$0" -m harness.cli run lab.toml --out second > second.txt 2>&1
echo "second $?"
wait $first
echo "first $?"
"""


def test_the_second_is_refused_and_the_first_passes(tmp_path: Path) -> None:
    try:
        check_user_namespaces()
    except NotCapableError as error:
        pytest.skip(str(error))
    (tmp_path / "lab.toml").write_text(SCENARIO)
    command = [sys.executable, namespaces.__file__, "bash", "-c", BOTH, sys.executable, str(ROOT)]
    done = subprocess.run(
        command, cwd=tmp_path, capture_output=True, text=True, check=True, timeout=200
    )
    said = (tmp_path / "second.txt").read_text()
    first = (tmp_path / "first.txt").read_text()
    assert done.stdout.splitlines() == [f"second {ExitCode.ENVIRONMENT:d}", "first 0"], first
    assert 'link = "packet" does not work here: another lab is open in this network' in said
    assert "wait until its run has ended" in said
    assert verdict_of(tmp_path / "first" / "latest").verdict == "passed"
