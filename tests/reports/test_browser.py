"""The report in a real browser: opened from its file, without any network."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from reports.views import write_views
from tests.support.canned import failed_verdict, record_run
from tests.support.chromium import find_chromium, render, screenshot

pytestmark = pytest.mark.slow


@pytest.fixture
def page(tmp_path: Path) -> Path:
    find_chromium()
    write_views(record_run(tmp_path / "run", failed_verdict()))
    return tmp_path / "run" / "report.html"


def test_the_page_renders_quietly_and_asks_the_network_for_nothing(
    page: Path, tmp_path: Path
) -> None:
    rendering = render(page, tmp_path)
    assert rendering.console == ()
    assert rendering.requests == ()
    charts = len(re.findall(r'<figure class="chart"', rendering.dom))
    assert charts == 9
    # The script ran over every chart: the content policy allowed it, and it found its data.
    assert f'data-charts="{charts}"' in rendering.dom
    assert rendering.dom.count('<div class="tip">') == charts


def test_an_intruding_request_and_an_error_would_be_seen(tmp_path: Path) -> None:
    """The judge is judged: a page that does what ours must not is caught."""
    find_chromium()
    page = tmp_path / "bad.html"
    page.write_text("<img src='http://127.0.0.1:9/x.png'><script>nothing()</script>")
    rendering = render(page, tmp_path)
    assert rendering.requests == ("http://127.0.0.1:9/x.png",)
    assert len(rendering.console) == 1
    assert "nothing is not defined" in rendering.console[0]


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (390, True)])
def test_the_page_can_be_looked_at(page: Path, tmp_path: Path, width: int, dark: bool) -> None:
    image = tmp_path / "page.png"
    screenshot(page, tmp_path, image, width=width, height=1600, dark=dark)
    data = image.read_bytes()
    assert data.startswith(b"\x89PNG")
    # A blank page of this size compresses to a few kilobytes.
    assert len(data) > 40_000
