"""One end of a line: damage counted, and what stops given up on after a silence."""

from collections import Counter

from protocols.bms.jbd.faults import FAULT_OF_DAMAGE, Fault
from protocols.bms.jbd.frame import Request
from protocols.bms.jbd.line import Line
from protocols.bms.jbd.reader import Damage

FRAME = Request(0x03).encode()


def test_every_damage_is_a_fault_of_the_same_name() -> None:
    assert {damage.name: fault.name for damage, fault in FAULT_OF_DAMAGE.items()} == {
        damage.name: damage.name for damage in Damage
    }


def test_damage_is_counted_and_good_frames_come_out() -> None:
    faults: Counter[Fault] = Counter()
    line = Line(Request, faults, 0.5)
    broken = FRAME[:-2] + b"\0\x77"
    assert line.receive_data(b"Junk" + broken + FRAME, 0.0) == [Request(0x03)]
    assert faults[Fault.BAD_CHECKSUM] == 1
    assert faults[Fault.GARBAGE] == 2
    assert line.deadline is None


def test_each_octet_starts_the_silence_anew() -> None:
    line = Line(Request, Counter(), 0.5)
    line.receive_data(FRAME[:1], 1.0)
    assert line.deadline == 1.5
    line.receive_data(FRAME[1:2], 1.4)
    assert line.deadline == 1.9
    assert line.handle_deadline(1.8) == []
    assert line.receive_data(FRAME[2:], 1.8) == [Request(0x03)]
    assert line.handle_deadline(2.0) == []


def test_a_silence_gives_up_only_what_stopped() -> None:
    faults: Counter[Fault] = Counter()
    line = Line(Request, faults, 0.5)
    assert line.receive_data(b"\xdd\x5a\x03\x20" + FRAME + FRAME[:3], 1.0) == []
    assert line.handle_deadline(1.5) == [Request(0x03)]
    assert line.deadline is None
    assert faults[Fault.TRUNCATED] == 2
    assert line.receive_data(FRAME, 2.0) == [Request(0x03)]
