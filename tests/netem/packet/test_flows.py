from __future__ import annotations

from netem.packet.flows import SWEEP_NS, FlowTable


def test_a_connection_keeps_its_lane() -> None:
    table = FlowTable(most=2)
    lane = table.lane(b"a", 0)
    table.lane(b"b", 0)
    assert table.lane(b"a", 0) is lane


def test_a_full_table_forgets_the_idle_ones_first() -> None:
    table = FlowTable(most=3)
    table.lane(b"busy", 0).next_ns = 10 * SWEEP_NS
    table.lane(b"idle", 0).next_ns = 1
    busy = table.lane(b"busy too", 0)
    busy.next_ns = 10 * SWEEP_NS
    table.lane(b"new", SWEEP_NS)
    assert len(table) == 3
    assert table.forgotten == 0
    assert table.lane(b"busy too", SWEEP_NS) is busy


def test_a_table_full_of_busy_connections_forgets_the_oldest_and_says_so() -> None:
    table = FlowTable(most=2)
    oldest = table.lane(b"oldest", 0)
    oldest.next_ns = 100 * SWEEP_NS
    busy = table.lane(b"busy", 0)
    busy.next_ns = 100 * SWEEP_NS
    table.lane(b"new", SWEEP_NS)
    assert (len(table), table.forgotten) == (2, 1)
    assert table.lane(b"busy", SWEEP_NS) is busy
