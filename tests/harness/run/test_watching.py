from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trio

from harness.run.watching import SERIES_MAX, LogFollower, ScrapedValue, Scraper, scrape

TEXT = """\
# HELP rows_total Rows.
# TYPE rows_total counter
rows_total{table="b",zone="a"} 12
# TYPE depth gauge
depth 3.5
"""


@contextmanager
def endpoint(text: str, status: int = 200) -> Iterator[str]:
    """An HTTP server that always answers ``text``; gives its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, format: str, *arguments: object) -> None:  # noqa: A002
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/metrics"
        finally:
            server.shutdown()
            thread.join()


def test_every_series_is_read_with_its_labels() -> None:
    with endpoint(TEXT) as url:
        assert scrape(url) == [
            ScrapedValue("rows_total", "table=b,zone=a", 12.0),
            ScrapedValue("depth", "", 3.5),
        ]


def test_no_more_series_are_taken_than_there_is_room_for() -> None:
    with endpoint("".join(f'x{{n="{n}"}} 1\n' for n in range(SERIES_MAX + 5))) as url:
        assert len(scrape(url)) == SERIES_MAX


@pytest.mark.parametrize(
    ("text", "status"), [("<html>", 200), (TEXT, 500), ("x" * (5 * 1024 * 1024), 200)]
)
def test_what_is_no_answer_is_an_error(text: str, status: int) -> None:
    with endpoint(text, status) as url, pytest.raises((ValueError, OSError)):
        scrape(url)


async def until(condition: Callable[[], object]) -> None:
    """Return once ``condition`` holds: what a thread brings sets no event."""
    with trio.fail_after(10):
        while not condition():  # noqa: ASYNC110
            await trio.sleep(0.01)


async def test_an_answer_is_taken_once() -> None:
    with endpoint(TEXT) as url:
        scraper = Scraper(url)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scraper.run)
            await until(lambda: scraper._fresh)
            nursery.cancel_scope.cancel()
    assert len(scraper.take()) == 2
    assert scraper.take() == []
    assert scraper.failures.total() == 0


async def test_an_endpoint_that_is_away_is_counted_and_asked_again() -> None:
    with endpoint(TEXT, 503) as url:
        scraper = Scraper(url, every_s=0.01)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(scraper.run)
            await until(lambda: scraper.failures.total() >= 3)
            nursery.cancel_scope.cancel()
    (reason,) = scraper.failures
    assert "503" in reason


def test_lines_are_counted_from_the_moment_it_is_followed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR of yesterday\n")
    follower = LogFollower(log, "ERROR|WARN")
    assert follower.follow() == 0
    with log.open("a") as file:
        file.write("ERROR 1\nfine\nWARN 2 ERROR 2\nERR")
        file.flush()
        assert follower.follow() == 2
        file.write("OR 3\n")
        file.flush()
        assert follower.follow() == 3
        assert follower.follow() == 3


def test_a_log_that_appears_later_is_read_whole(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "log", "ERROR")
    assert follower.follow() == 0
    (tmp_path / "log").write_text("ERROR 1\n")
    assert follower.follow() == 1


def test_a_log_that_was_rotated_or_cut_is_read_from_its_start(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("ERROR 1\nhalf a li")
    follower = LogFollower(log, "ERROR")
    with log.open("a") as file:
        file.write("ne\nERROR 2\n")
    assert follower.follow() == 1
    log.write_text("ERROR 3\n")
    assert follower.follow() == 2
    (tmp_path / "new").write_text("ERROR 4\nERROR 5, and longer than the one before it\n")
    (tmp_path / "new").rename(log)
    assert follower.follow() == 4


def test_octets_that_are_no_text_do_not_matter(tmp_path: Path) -> None:
    follower = LogFollower(tmp_path / "log", "Zähler")
    (tmp_path / "log").write_bytes(b"\xff\xfe\n" + "Zähler 7\n".encode())
    assert follower.follow() == 1
