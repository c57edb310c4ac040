from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from harness.preload.written import Written, read_written


class Clock:
    """Moved by hand."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_before_anything_is_said_nothing_is_written(tmp_path: Path) -> None:
    assert read_written(tmp_path / "0.written") == 0


def test_it_says_now_and_then_how_far_it_is_and_at_last_in_any_case(tmp_path: Path) -> None:
    file, clock = tmp_path / "0.written", Clock()
    written = Written(1_000, file, clock)
    said = []
    with capture_logs() as logged:
        for at_s, readings in ((100.1, 10), (100.2, 20), (100.7, 70), (105.1, 500)):
            clock.now_s = at_s
            written(readings)
            said.append(read_written(file))
        # The next part counts anew.
        written.before = 500
        clock.now_s = 105.2
        written(300)
        said.append(read_written(file))
        written(500)
        said.append(read_written(file))
    assert said == [10, 10, 70, 500, 500, 1_000]
    assert [(line["readings"], line["of"], line["per_s"]) for line in logged] == [
        (500, 1_000, 98),
        (1_000, 1_000, 192),
    ]


def test_it_ends_when_somebody_wants_that_and_has_said_what_is_written(tmp_path: Path) -> None:
    file = tmp_path / "0.written"
    written = Written(1_000, file, Clock())
    written.ending.set()
    with pytest.raises(KeyboardInterrupt):
        written(10)
    assert read_written(file) == 10
