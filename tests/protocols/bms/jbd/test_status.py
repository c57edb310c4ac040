"""Register 03, octet by octet."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.bms.jbd.status import PACK, Mosfets, PackStatus, Protection
from protocols.errors import CodecError, ProtocolError

VECTOR = bytes.fromhex(
    "1700"  # 58.88 V
    "FF85"  # 1.23 A, discharge
    "0111"  # 2.73 Ah left
    "012C"  # 3.00 Ah full
    "0002"  # cycles
    "2078"  # 2016-03-24
    "8001"  # cells 1 and 16 are being balanced
    "0002"  # and 18
    "1002"  # cell undervoltage, locked by E1
    "10"  # version 1.0
    "5B"  # 91 %
    "03"  # both transistors conduct
    "0E"  # 14 cells
    "02"  # sensors
    "0BA6"  # 298.2 K
    "0B9A"  # 297.0 K
)
STATUS = PackStatus(
    voltage_mv=58_880,
    current_ma=1_230,
    remaining_mah=2_730,
    full_mah=3_000,
    charge_percent=91,
    mosfets=Mosfets.BOTH,
    cells=14,
    cycles=2,
    manufactured=(2016, 3, 24),
    balancing=0x0002_8001,
    protection=Protection.CELL_UNDERVOLTAGE | Protection.LOCKED,
    version=0x10,
    temperatures_dk=(2_982, 2_970),
)
statuses = st.builds(
    PackStatus,
    voltage_mv=st.integers(0, 65_535).map(lambda steps: 10 * steps),
    current_ma=st.integers(-32_767, 32_767).map(lambda steps: 10 * steps),
    remaining_mah=st.integers(0, 65_535).map(lambda steps: 10 * steps),
    full_mah=st.integers(0, 65_535).map(lambda steps: 10 * steps),
    charge_percent=st.integers(0, 100),
    mosfets=st.sampled_from(Mosfets),
    cells=st.integers(0, 255),
    cycles=st.integers(0, 65_535),
    manufactured=st.tuples(st.integers(2000, 2127), st.integers(0, 15), st.integers(0, 31)),
    balancing=st.integers(0, 2**32 - 1),
    protection=st.integers(0, 2**13 - 1).map(Protection),
    version=st.integers(0, 255),
    temperatures_dk=st.lists(st.integers(0, 65_535), max_size=100).map(tuple),
    extra=st.binary(max_size=8),
)


def test_the_octets_mean_what_the_register_map_says() -> None:
    assert PackStatus.decode(VECTOR) == STATUS
    assert STATUS.encode() == VECTOR


@pytest.mark.parametrize(
    ("bit", "protection"),
    [
        (0, Protection.CELL_OVERVOLTAGE),
        (1, Protection.CELL_UNDERVOLTAGE),
        (2, Protection.PACK_OVERVOLTAGE),
        (3, Protection.PACK_UNDERVOLTAGE),
        (4, Protection.CHARGE_OVERTEMPERATURE),
        (5, Protection.CHARGE_UNDERTEMPERATURE),
        (6, Protection.DISCHARGE_OVERTEMPERATURE),
        (7, Protection.DISCHARGE_UNDERTEMPERATURE),
        (8, Protection.CHARGE_OVERCURRENT),
        (9, Protection.DISCHARGE_OVERCURRENT),
        (10, Protection.SHORT_CIRCUIT),
        (11, Protection.FRONT_END_FAULT),
        (12, Protection.LOCKED),
    ],
)
def test_each_of_the_13_errors_has_its_bit(bit: int, protection: Protection) -> None:
    data = VECTOR[:16] + (1 << bit).to_bytes(2, "big") + VECTOR[18:]
    assert PackStatus.decode(data).protection is protection


@pytest.mark.parametrize(
    ("octet", "mosfets"), [(0, Mosfets.NONE), (1, Mosfets.CHARGE), (2, Mosfets.DISCHARGE)]
)
def test_a_set_bit_is_a_transistor_that_conducts(octet: int, mosfets: Mosfets) -> None:
    data = VECTOR[:20] + bytes([octet]) + VECTOR[21:]
    assert PackStatus.decode(data).mosfets is mosfets


@pytest.mark.parametrize("date", [(2127, 15, 31), (2000, 0, 0)])
def test_the_first_and_the_last_date_fit(date: tuple[int, int, int]) -> None:
    assert PackStatus.decode(replace(STATUS, manufactured=date).encode()).manufactured == date


def test_discharge_is_negative_on_the_wire_and_positive_here() -> None:
    assert PACK.parse(VECTOR).current == -123
    assert PackStatus.decode(VECTOR).current_ma == 1_230


@pytest.mark.parametrize("count", [0, 1, 2, 8, 100])
def test_any_number_of_sensors_is_legal(count: int) -> None:
    data = VECTOR[:22] + bytes([count]) + b"\x0b\xa6" * count
    assert PackStatus.decode(data).temperatures_dk == (2_982,) * count


@given(statuses)
def test_round_trip_and_the_declaration_agrees(status: PackStatus) -> None:
    octets = status.encode()
    assert PackStatus.decode(octets) == status
    fields = PACK.parse(octets)
    assert PACK.build(fields) == octets
    assert tuple(fields.temperatures) == status.temperatures_dk
    assert fields.extra == status.extra


@given(st.integers(-9, 9), st.integers(0, 9))
def test_steps_are_cut_towards_zero(current_ma: int, rest: int) -> None:
    status = PackStatus(50_000 + rest, current_ma, rest, rest, 0, Mosfets.NONE, 4)
    assert PackStatus.decode(status.encode()) == PackStatus(50_000, 0, 0, 0, 0, Mosfets.NONE, 4)


@pytest.mark.parametrize(
    "changed",
    [
        {"current_ma": 400_000},
        {"voltage_mv": 700_000},
        {"remaining_mah": -10},
        {"manufactured": (1999, 1, 1)},
        {"manufactured": (2128, 1, 1)},
        {"manufactured": (2020, 16, 1)},
        {"manufactured": (2020, 1, 32)},
        {"manufactured": (2020, -1, 1)},
        {"temperatures_dk": (0,) * 256},
        {"temperatures_dk": (65_536,)},
        {"temperatures_dk": (-1,)},
        {"balancing": 2**32},
    ],
)
def test_what_does_not_fit_is_our_error(changed: dict[str, int]) -> None:
    values = {name: getattr(STATUS, name) for name in PackStatus.__slots__} | changed
    with pytest.raises(CodecError):
        PackStatus(**values).encode()


@given(st.binary(max_size=40))
def test_garbage_raises_only_protocol_errors(data: bytes) -> None:
    try:
        PackStatus.decode(data)
    except ProtocolError:
        assert len(data) < 23 + 2 * (data[22] if len(data) > 22 else 0)
