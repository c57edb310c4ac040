"""Finding frames on a line: any split, noise, damage, bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.bms.jbd.frame import MAX_FRAME_SIZE, Reply, Request
from protocols.bms.jbd.reader import Damage, Damaged, FrameReader

FIRST = Request(0x03).encode()
SECOND = Request(0x04).encode()
requests = st.one_of(
    st.builds(Request, st.integers(0, 255)),
    st.builds(Request, st.integers(0, 255), st.just(True), st.binary(max_size=9)),
)


def drained(reader: FrameReader[Request]) -> list[Request | Damaged]:
    items: list[Request | Damaged] = []
    while (item := reader.next_frame()) is not None:
        items.append(item)
    return items


def read(octets: bytes) -> list[Request | Damaged]:
    reader = FrameReader(Request)
    reader.feed(octets)
    return drained(reader)


@given(st.lists(requests, max_size=5), st.data())
def test_any_split_gives_the_same_frames(sent: list[Request], data: st.DataObject) -> None:
    stream = b"".join(request.encode() for request in sent)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=8)))
    reader, seen = FrameReader(Request), []
    for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        reader.feed(stream[start:end])
        seen += drained(reader)
    assert seen == sent
    assert reader.buffered == 0


def test_one_octet_at_a_time() -> None:
    reader, seen = FrameReader(Reply), []
    for octet in Reply(5, b"\xdd\x77").encode() * 2:
        reader.feed(bytes([octet]))
        seen.append(reader.next_frame())
    assert [item for item in seen if item is not None] == [Reply(5, b"\xdd\x77")] * 2
    assert seen[8] is not None
    assert seen[17] is not None


def test_the_junk_that_wakes_a_device_up_is_passed_over() -> None:
    assert read(b"Junk" + FIRST) == [Damaged(Damage.GARBAGE, b"Junk"), Request(0x03)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_start_octets_before_anything_else_are_garbage(count: int) -> None:
    starts = b"\xdd" * count
    assert read(starts + FIRST) == [Damaged(Damage.GARBAGE, starts), Request(0x03)]


@pytest.mark.parametrize(
    ("at", "damage"), [(-1, Damage.BAD_END), (-2, Damage.BAD_CHECKSUM), (2, Damage.BAD_CHECKSUM)]
)
def test_after_a_damaged_frame_the_next_good_one_is_found(at: int, damage: Damage) -> None:
    broken = bytearray(FIRST)
    broken[at] ^= 0x10
    items = read(bytes(broken) + SECOND)
    assert items[0] == Damaged(damage, b"\xdd")
    assert items[-1] == Request(0x04)


def test_a_frame_inside_what_a_damaged_length_covers_is_not_lost() -> None:
    broken = FIRST.replace(b"\x03\x00", b"\x03\x05")
    assert Request(0x04) in read(broken + SECOND + SECOND)


def test_what_stopped_is_given_up_and_what_lay_behind_it_comes_out() -> None:
    reader = FrameReader(Request)
    reader.feed(b"\xdd\x5a\x03\xff" + SECOND)
    assert drained(reader) == []
    assert reader.give_up() == Damaged(Damage.TRUNCATED, b"\xdd")
    assert drained(reader)[-1] == Request(0x04)
    assert reader.give_up() is None


@pytest.mark.parametrize("cut", range(1, len(FIRST)))
def test_a_read_that_was_cut_holds_up_no_other(cut: int) -> None:
    assert read(FIRST[:cut] + SECOND + SECOND)[-1] == Request(0x04)
    assert [one for one in read(FIRST[:cut] + SECOND) if isinstance(one, Request)]


def test_a_reply_is_no_request_and_the_other_way_round() -> None:
    assert read(Reply(5, b"0123456789").encode())[0] == Damaged(
        Damage.GARBAGE, Reply(5, b"0123456789").encode()
    )
    reader = FrameReader(Reply)
    reader.feed(FIRST)
    assert isinstance(reader.next_frame(), Damaged)


@given(st.binary(max_size=2000))
def test_whatever_comes_is_bounded_and_adds_up(octets: bytes) -> None:
    reader = FrameReader(Request)
    reader.feed(octets)
    lost = sum(
        len(item.octets) if isinstance(item, Damaged) else len(item.encode())
        for item in drained(reader)
    )
    assert lost + reader.buffered == len(octets)
    assert reader.buffered < MAX_FRAME_SIZE == 262


@given(st.lists(st.sampled_from([b"\xdd", b"\xa5", b"\x5a", b"\x03", b"\x00", b"\x77"])))
def test_hostile_octets_never_hide_what_follows_a_silence(octets: list[bytes]) -> None:
    reader = FrameReader(Request)
    reader.feed(b"".join(octets))
    drained(reader)
    while reader.give_up() is not None:
        drained(reader)
    reader.feed(FIRST)
    assert drained(reader) == [Request(0x03)]
