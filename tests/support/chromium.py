"""A real browser, headless, for pages that must look right without any network."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

NAMES: Final = ("chromium", "chromium-browser", "google-chrome")

_FLAGS: Final = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-extensions",
    "--no-service-autorun",
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--enable-logging=stderr",
    "--virtual-time-budget=2000",
)
_CONSOLE: Final = re.compile(r":CONSOLE[:(].*")
_TIMEOUT_S: Final = 60


@dataclass(frozen=True, slots=True)
class Rendering:
    """What the browser made of a page.

    Attributes:
        dom: The document after its scripts ran.
        console: What the page wrote to the console: errors, and refusals of the content policy.
        requests: Every address that the page asked the network for.
    """

    dom: str
    console: tuple[str, ...]
    requests: tuple[str, ...]


def find_chromium() -> str:
    """Return the browser's path; skip the test where there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path is not None:
            return path
    pytest.skip(f"no browser to render the report: none of {', '.join(NAMES)} is on the PATH")


def render(page: Path, work: Path, *, dark: bool = False) -> Rendering:
    """Load ``page`` from its file and return what became of it; ``work`` holds the profile."""
    net_log = work / "net.json"
    done = _chromium(page, work, "--dump-dom", f"--log-net-log={net_log}", *_scheme(dark))
    console = tuple(m[0] for line in done.stderr.splitlines() if (m := _CONSOLE.search(line)))
    return Rendering(done.stdout, console, _requests(net_log))


def screenshot(
    page: Path, work: Path, image: Path, *, width: int, height: int, dark: bool = False
) -> None:
    """Write a PNG of the first ``width`` x ``height`` pixels of ``page`` to ``image``."""
    size = f"--window-size={width},{height}"
    _chromium(page, work, f"--screenshot={image}", size, *_scheme(dark))


def _scheme(dark: bool) -> tuple[str, ...]:
    return ("--blink-settings=preferredColorScheme=0",) if dark else ()


def _chromium(page: Path, work: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    profile = f"--user-data-dir={work / 'profile'}"
    command = [find_chromium(), *_FLAGS, profile, *arguments, page.resolve().as_uri()]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=_TIMEOUT_S)


def _requests(net_log: Path) -> tuple[str, ...]:
    """Return the URLs that pages asked for; the browser's own business is none of ours."""
    log = json.loads(net_log.read_text(encoding="utf-8"))
    start = log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"]
    found = [event.get("params", {}) for event in log["events"] if event["type"] == start]
    return tuple(p["url"] for p in found if "file://" in p.get("site_for_cookies", ""))
