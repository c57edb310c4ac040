"""What the processes of a run do not load: every run starts five or more, each pays anew."""

from __future__ import annotations

import subprocess
import sys
from typing import Final

import pytest

from tests.support.command_line import ROOT

DATABASE: Final = ("psycopg", "duckdb")
HTTP: Final = ("fastapi", "uvicorn", "starlette")
LOCUST: Final = ("locust", "gevent")
NETWORK: Final = ("scapy", "pyroute2")
PAGES: Final = ("jinja2", "reports.html")
PROTOCOLS: Final = ("protocols.c12.services", "protocols.c12.meter", "protocols.dlms.apdu")
"""Plug-ins are loaded where a fleet speaks them; names of events and titles are more than that."""

SPARED: Final = {
    # Every verb, --help and what the shell completes.
    "harness.cli": ("numpy", "trio", "pydantic", "rich", *DATABASE, *HTTP, *LOCUST, *NETWORK),
    "harness.run.command": (*PROTOCOLS, *HTTP, *LOCUST, "harness.headend.service"),
    "harness.headend.__main__": (*PROTOCOLS, *HTTP, *LOCUST, *NETWORK, *PAGES, "psycopg"),
    "harness.headend.api.__main__": (*PROTOCOLS, *LOCUST, *NETWORK, *PAGES, *DATABASE),
    "emulator.shard": (*PROTOCOLS, *HTTP, *LOCUST, *NETWORK, *DATABASE, "protocols.c12"),
    "harness.bal.__main__": (*PROTOCOLS, *HTTP, *LOCUST, *NETWORK, *PAGES, *DATABASE),
    "harness.load.locustfile": (*PROTOCOLS, *HTTP, *NETWORK, *DATABASE, "trio"),
}


@pytest.mark.parametrize("module", SPARED)
def test_a_process_does_not_load_what_it_may_never_need(module: str) -> None:
    script = f"import sys, {module}\nprint(sorted(set({SPARED[module]!r}) & sys.modules.keys()))"
    child = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert child.stdout == "[]\n"


def test_what_is_not_loaded_is_there() -> None:
    # A name that is misspelt, or has moved, would never be found to be loaded.
    script = f"import importlib\nfor name in {sorted(set().union(*SPARED.values()))!r}:\n"
    script += "    assert importlib.util.find_spec(name), name\n"
    subprocess.run([sys.executable, "-c", "import importlib.util\n" + script], check=True, cwd=ROOT)
