"""What a relay pushes is, octet for octet, what the meter itself would show."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from protocols.c12.meter import Meter, Passwords, interval_data
from protocols.c12.meter.clearance import Clearance
from protocols.c12.plugin.options import C12Options
from protocols.c12.plugin.push_decoding import PushDecoder, Pushed
from protocols.c12.plugin.push_encoding import SERVICES_OCTETS_MAX, PushEncoder
from protocols.c12.services import Dialect, OffsetRead, OffsetWrite, ReadBody, decode_request
from tests.protocols.c12.plugin.uplink import OPTIONS, RELAY_NAME, exactly, ordered
from tests.support.c12_meter_model import AnsiConcentrator, Raised, logged, risen
from tests.support.concentrator_model import CREDENTIALS

SCHEMA = C12Options.of(OPTIONS).schema
MODEL = AnsiConcentrator(intervals=12)


def encoder(model: AnsiConcentrator = MODEL) -> PushEncoder:
    return PushEncoder(SCHEMA, model.meter_names.tolist())


def written(encoding: PushEncoder, pairs: list[tuple[int, int]]) -> dict[int, list[OffsetWrite]]:
    """Return the blocks that a push writes, by meter."""
    found: dict[int, list[OffsetWrite]] = {}
    for index, apdus in encoding.encode(MODEL.readings(pairs)):
        for services in apdus:
            for service in services:
                write = decode_request(service, Dialect.C12_22)
                assert isinstance(write, OffsetWrite)
                found.setdefault(index, []).append(write)
    return found


def pulled(meter: int, write: OffsetWrite) -> bytes:
    """Return what the meter shows where ``write`` writes."""
    reader = Meter(MODEL, meter, Passwords.of(CREDENTIALS), granted=Clearance.FULL)
    request = OffsetRead(write.table, write.offset, len(write.data))
    return ReadBody.decode(reader.handle(request, now=0.0).body).data


def test_a_pushed_block_is_the_one_that_a_client_would_read_there() -> None:
    encoding = encoder()
    written(encoding, [(0, 3), (1, 3), (2, 2)])
    for index, writes in written(encoding, [(0, 4), (0, 5), (1, 4), (2, 3)]).items():
        for write in writes:
            assert write.data == pulled(index, write)


def test_without_the_capture_before_an_interval_is_partial() -> None:
    encoding = encoder()
    (first,) = written(encoding, [(1, 3)])[1]
    assert first.data != pulled(1, first)
    assert interval_data(SCHEMA, first.data)[0, :4].tolist() == [0, 0, 0, 0]
    written(encoding, [(1, 6)])
    (gap,) = written(encoding, [(1, 8)])[1]
    assert interval_data(SCHEMA, gap.data)[0, :4].tolist() == [0, 0, 0, 0]
    (next_one,) = written(encoding, [(1, 9)])[1]
    assert next_one.data == pulled(1, next_one)


def test_an_old_reading_does_not_hide_the_newest() -> None:
    encoding = encoder()
    written(encoding, [(1, 6)])
    written(encoding, [(1, 2)])
    (write,) = written(encoding, [(1, 7)])[1]
    assert write.data == pulled(1, write)


def test_after_power_loss_nothing_is_remembered() -> None:
    encoding = encoder()
    written(encoding, [(1, 3)])
    encoding.restarted()
    (write,) = written(encoding, [(1, 4)])[1]
    assert interval_data(SCHEMA, write.data)[0, :4].tolist() == [0, 0, 0, 0]


@settings(deadline=None, max_examples=60)
@given(
    pairs=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 11)), min_size=1, max_size=36, unique=True
    ),
    codes=st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 11), st.integers(0, 2047), st.booleans()),
        max_size=20,
        unique_by=lambda item: (item[:2], item[2] % 14),
    ),
)
def test_what_is_encoded_is_decoded(
    pairs: list[tuple[int, int]], codes: list[tuple[int, int, int, bool]]
) -> None:
    raised: list[Raised] = [
        risen(meter, interval, code % 14)
        if status
        else logged(meter, interval, code, number + 1, code * 1_000)
        for number, (meter, interval, code, status) in enumerate(
            sorted(codes, key=lambda item: item[1])
        )
    ]
    model = AnsiConcentrator(intervals=12, raised=raised)
    readings = model.readings(pairs)
    pushes = []
    for index, apdus in encoder(model).encode(readings):
        for services in apdus:
            assert sum(len(service) + 3 for service in services) <= SERVICES_OCTETS_MAX
            pushes.append(Pushed(bytes(model.meter_names[index]), services))
    decoded, unfit = PushDecoder(SCHEMA).decode(RELAY_NAME, pushes)
    expected = ordered(readings)
    assert not unfit
    assert decoded.concentrator == RELAY_NAME
    assert exactly(decoded, replace(expected, concentrator=RELAY_NAME))


def test_no_pushes_are_no_readings() -> None:
    decoded, unfit = PushDecoder(SCHEMA).decode(RELAY_NAME, [])
    assert len(decoded) == len(decoded.events) == 0
    assert decoded.values.shape == (0, len(SCHEMA.registers))
    assert not unfit


@pytest.mark.parametrize("count", [1, 2, 250])
def test_all_meters_of_a_push_are_made_together(count: int) -> None:
    model = AnsiConcentrator(meters=count, intervals=2)
    readings = model.readings([(meter, 1) for meter in range(count)])
    apart = encoder(model).encode(readings)
    assert [index for index, _ in apart] == list(range(count))
    assert all(len(apdus) == 1 and len(apdus[0]) == 1 for _, apdus in apart)
