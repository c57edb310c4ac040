from __future__ import annotations

import pytest

from emulator.event_kinds import TRACES, Ending, MeterEventKind
from protocols.c12.tables.events import EVENTS
from protocols.c12.tables.status import STATUS_FLAGS


def test_every_kind_leaves_a_trace_of_its_own_or_is_how_a_meter_answers_meanwhile() -> None:
    assert set(TRACES) == set(MeterEventKind)
    left = [trace for trace in TRACES.values() if trace.begins or trace.ends]
    assert len(set(left)) == len(left)
    for trace in TRACES.values():
        if trace not in left:
            assert trace.ending is Ending.NEEDED
            assert not trace.status_bits
    bits = [bit for trace in TRACES.values() for bit in trace.status_bits]
    assert sorted(bits) == list(range(14))


@pytest.mark.parametrize("kind", MeterEventKind)
def test_codes_and_bits_are_those_of_the_standard(kind: MeterEventKind) -> None:
    """The names of code and bit in C12.19 hold a word of our name of the kind."""
    trace = TRACES[kind]
    flags = {flag.bit: flag.name for flag in STATUS_FLAGS}
    names = [EVENTS[code].name for code in (*trace.begins, *trace.ends)]
    names += [flags[bit] for bit in trace.status_bits]
    words = {"memory-failure": "nonvolatile memory failure", "read-access": "accessed for read"}
    words |= {"write-access": "accessed for write", "clock-failure": "clock error"}
    words |= {"measurement-failure": "measurement error", "power-failure": "power"}
    words |= {"self-check-failure": "self-check error", "unprogrammed": "programmed"}
    wanted = words.get(kind, kind.replace("-", " ")).replace("self read", "self-read")
    assert all(wanted in name.lower() for name in names), names


def test_what_is_over_at_once_holds_nothing_up_and_logs_no_end() -> None:
    for trace in TRACES.values():
        if trace.ending is Ending.NEVER:
            assert not trace.ends
            assert not trace.status_bits
