from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from netem.model import LinkIdentity, LinkModel, LinkStatistics
from netem.model.path import Path as LinkPath
from netem.model.path import path_rule
from netem.model.statistics import DirectionStatistics
from netem.profiles import (
    LinkDirection,
    LinkOptions,
    LinkProfile,
    ProfileError,
    TierUnfitError,
    load_profiles,
)
from netem.shared_medium import (
    Cell,
    Medium,
    MediumStatistics,
    Opportunities,
    trace_offset_ns,
)
from netem.traces import DeliveryTrace, TraceError, read_trace

MS = 1_000_000
SHORT = "5\n10\n10\n30\n"


def written(folder: Path, text: str, name: str = "own.trace") -> Path:
    path = folder / name
    path.write_text(text, encoding="ascii")
    return path


def trace_of(folder: Path, text: str) -> DeliveryTrace:
    return read_trace(written(folder, text))


# -- reading ------------------------------------------------------------------------------------


def test_a_trace_has_its_length_and_its_rate(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, SHORT)
    assert trace.length_ms == 30
    # Four packets of 1500 octets in 30 ms.
    assert trace.mean_rate == pytest.approx(4 * 12_000 / 0.030)


def test_a_trace_repeats_from_its_end_in_both_directions_of_time(tmp_path: Path) -> None:
    trace = trace_of(tmp_path, SHORT)
    times_ms = [trace.time_ns(number) // MS for number in range(-2, 9)]
    assert times_ms == [-20, 0, 5, 10, 10, 30, 35, 40, 40, 60, 65]
    assert [trace.first_after(at * MS) for at in (-1, 0, 4, 5, 29, 30, 40)] == [
        -1,
        0,
        0,
        1,
        3,
        4,
        7,
    ]
    assert trace.first_after(5 * MS - 1) == 0


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("1\n2\nthree\n", 3, "'three' is no whole number"),
        ("1\n\n2\n", 2, "'' is no whole number"),
        ("1\n-2\n", 2, "'-2' is no whole number"),
        ("1\n1.5\n", 2, "'1.5' is no whole number"),
        ("9" * 40 + "\n", 1, "is no whole number"),
        ("7\n6\n", 2, "6 ms comes before the 7 ms above it"),
        ("0\n0\n", 2, "longer than 0 ms"),
        ("604800001\n", 1, "seven days"),
        ("", None, "no delivery opportunity"),
    ],
)
def test_a_bad_trace_is_refused_by_file_and_line(
    tmp_path: Path, text: str, line: int | None, problem: str
) -> None:
    path = written(tmp_path, text)
    with pytest.raises(TraceError) as caught:
        read_trace(path)
    assert (caught.value.path, caught.value.line) == (path, line)
    assert problem in caught.value.problem
    assert str(caught.value).startswith(f"{path}:{line}: " if line else f"{path}: ")


def test_a_trace_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("netem.traces.OPPORTUNITIES_MOST", 3)
    with pytest.raises(TraceError, match="more than 3 opportunities") as caught:
        trace_of(tmp_path, SHORT)
    assert caught.value.line == 4


def test_a_missing_trace_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(TraceError, match="No such file"):
        read_trace(tmp_path / "absent.trace")


# -- carrying -----------------------------------------------------------------------------------


def path_over(trace: DeliveryTrace, *, offset_ms: int = 0, queue: int = 10**9) -> LinkPath:
    rule = path_rule(LinkDirection(), LinkOptions())
    cell = Cell(MediumStatistics())
    cell.began_ns = 0
    medium = Medium(cell, Opportunities(trace, offset_ms * MS), queue)
    return LinkPath(rule, DirectionStatistics(), medium)


def delivered_ms(one: LinkPath, packets: Sequence[tuple[float, int]]) -> list[float | None]:
    times_ns = [
        one.enter(one.data, round(at_ms * MS), octets, index)
        for index, (at_ms, octets) in enumerate(packets)
    ]
    return [None if at_ns is None else at_ns / MS for at_ns in times_ns]


@pytest.mark.parametrize(
    ("packets", "expected_ms"),
    [
        pytest.param([(0, 1500)], [5], id="one"),
        pytest.param([(5, 1500)], [10], id="an opportunity at arrival is too early"),
        pytest.param([(4.999, 1500)], [5], id="one just after it is not"),
        pytest.param([(6, 1500)] * 4, [10, 10, 30, 35], id="a queue, round the end"),
        pytest.param(
            [(0, 600), (0, 600), (0, 600), (0, 1200), (0, 1)],
            [5, 5, 10, 10, 10],
            id="parts of packets fill an opportunity to the octet",
        ),
        pytest.param([(0, 600), (6, 600)], [5, 10], id="what nobody used is gone"),
        pytest.param([(0, 1501)], [10], id="more than one opportunity"),
        pytest.param([(0, 6001)], [35], id="more than a pass"),
    ],
)
def test_packets_leave_at_opportunities(
    tmp_path: Path, packets: list[tuple[float, int]], expected_ms: list[float]
) -> None:
    assert delivered_ms(path_over(trace_of(tmp_path, SHORT)), packets) == expected_ms


def test_an_offset_begins_the_trace_further_on(tmp_path: Path) -> None:
    one = path_over(trace_of(tmp_path, SHORT), offset_ms=12)
    # 12 ms in: the next opportunities are those at 30 and 35 ms.
    assert delivered_ms(one, [(0, 1500), (0, 1500)]) == [18, 23]


def as_mahimahi(
    times_ms: Sequence[int], packets: Sequence[tuple[float, int]], until_ms: int
) -> list[float | None]:
    """Walk through time as mm-link does: use up opportunity by opportunity, octet by octet."""
    waiting: deque[list[int]] = deque()
    left = deque(enumerate(packets))
    through: list[float | None] = [None] * len(packets)
    base = 0
    while base < until_ms:
        for time in times_ms:
            now = base + time
            while left and left[0][1][0] < now:
                index, (_, octets) = left.popleft()
                waiting.append([index, octets])
            room = 1500
            while room and waiting:
                taken = min(room, waiting[0][1])
                room -= taken
                waiting[0][1] -= taken
                if not waiting[0][1]:
                    through[waiting.popleft()[0]] = now
        base += times_ms[-1]
    return through


@pytest.mark.parametrize("load", [0.3, 0.8, 1.5])
def test_it_is_mahimahi_s_queue(tmp_path: Path, load: float) -> None:
    draws = np.random.default_rng(7)
    gaps = draws.choice([0, 1, 3, 40, 900], 300, p=[0.3, 0.3, 0.3, 0.09, 0.01])
    times_ms = [int(time) for time in np.cumsum(gaps) + 1]
    trace = trace_of(tmp_path, "".join(f"{time}\n" for time in times_ms))
    sizes = draws.integers(40, 1501, 500)
    span_ms = sizes.sum() * 8 / (trace.mean_rate * load) * 1000
    arrivals = np.sort(draws.uniform(0, span_ms, 500))
    packets = [(float(at), int(size)) for at, size in zip(arrivals, sizes, strict=True)]
    expected = as_mahimahi(times_ms, packets, round(3 * span_ms) + 10_000)
    assert None not in expected
    one = path_over(trace)
    # Times of arrival are cut to whole nanoseconds on the way in; opportunities are milliseconds.
    assert delivered_ms(one, packets) == expected


def test_a_full_queue_drops_and_the_rest_goes_through(tmp_path: Path) -> None:
    one = path_over(trace_of(tmp_path, SHORT), queue=3_000)
    assert delivered_ms(one, [(0, 1500)] * 3 + [(6, 1500)]) == [5, 10, None, 10]
    assert one.statistics.overflowed == 1
    assert one.statistics.packets == 3


# -- as a profile -------------------------------------------------------------------------------

PROFILE = """
[profiles.walk]
description = "a walk through our town"
sources = [{ figure = "all", text = "our own probe", confidence = "measured" }]
up = { latency = "40 ms", trace = "up.trace" }
down = { latency = "40 ms", trace = { file = "down.trace", queue = "30 kB" } }
"""


def walk(folder: Path, up: str = SHORT, down: str = SHORT) -> LinkProfile:
    written(folder, up, "up.trace")
    written(folder, down, "down.trace")
    file = folder / "links.toml"
    file.write_text(PROFILE, encoding="utf-8")
    return load_profiles(file)["walk"]


def test_a_profile_names_its_traces_beside_its_file_and_travels(tmp_path: Path) -> None:
    profile = walk(tmp_path)
    assert profile.up.trace is not None
    assert profile.down.trace is not None
    assert profile.up.trace.file == str(tmp_path / "up.trace")
    assert profile.down.trace.queue == 30_000
    assert LinkProfile.model_validate_json(profile.model_dump_json()) == profile


def test_a_bad_trace_is_told_with_the_profile_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ProfileError) as caught:
        walk(tmp_path, down="3\n1\n")
    assert caught.value.key == "profiles.walk.down.trace.file"
    assert f"{tmp_path / 'down.trace'}:2: 1 ms comes before" in caught.value.problem


def test_the_kernel_follows_no_traces(tmp_path: Path) -> None:
    profile = walk(tmp_path)
    profile.check_tier("model")
    profile.check_tier("packet")
    with pytest.raises(TierUnfitError, match=r"walk: up.trace: the kernel's netem") as caught:
        profile.check_tier("netem")
    assert (caught.value.profile, caught.value.key, caught.value.tier) == (
        "walk",
        "up.trace",
        "netem",
    )
    load_profiles()["seed-1"].check_tier("netem")


def test_concentrators_follow_one_trace_from_points_of_their_own(tmp_path: Path) -> None:
    profile = walk(tmp_path, up="1000\n" * 1, down=SHORT)
    statistics = LinkStatistics("walk")
    waits_ms = set()
    for concentrator in range(200):
        identity = LinkIdentity(1, concentrator, "push")
        one = LinkModel(profile, LinkOptions(), identity, statistics)
        ((release_ns, _),) = one.transfer("up", 0, 10).releases
        waits_ms.add(release_ns // MS - 40)
        trace = read_trace(tmp_path / "up.trace")
        assert 1000 - trace_offset_ns(trace, 1, concentrator) // MS == release_ns // MS - 40
    # Uniform over the second of the trace: two hundred draws of a thousand, 181 different ones.
    assert 165 < len(waits_ms) < 195
    assert sum(waits_ms) / len(waits_ms) == pytest.approx(500, abs=70)


def test_connections_of_one_concentrator_share_its_trace(tmp_path: Path) -> None:
    profile = walk(tmp_path, up="1000\n")
    statistics = LinkStatistics("walk")
    releases = []
    for channel in ("push", "pull"):
        one = LinkModel(profile, LinkOptions(), LinkIdentity(1, 7, channel), statistics)
        releases.append(one.transfer("up", 0, 1_448).releases[0][0])
    assert releases[1] - releases[0] == 1000 * MS


def test_an_upload_takes_as_many_opportunities_as_its_octets_need(tmp_path: Path) -> None:
    # Ten a second; 14,480 octets of data are ten full segments, the initial window.
    profile = walk(tmp_path, up="100\n", down="1\n")
    statistics = LinkStatistics("walk")
    one = LinkModel(profile, LinkOptions(), LinkIdentity(1, 0, "push"), statistics)
    releases = one.transfer("up", 0, 14_480).releases
    times_ms = [at_ns / MS for at_ns, _ in releases]
    assert len(times_ms) == 10
    assert np.diff(times_ms) == pytest.approx([100] * 9)
    counts = statistics.media.statistics["up trace"]
    assert (counts.packets, counts.octets, counts.used) == (10, 15_000, 15_000)
    assert counts.utilisation == 1
    assert statistics.up.overflowed == 0
    # Another 30 s later: 300 opportunities in between were nobody's.
    one.transfer("up", 30_000 * MS + 50 * MS, 1_448)
    assert counts.utilisation == pytest.approx(11 / 301, rel=0.02)
