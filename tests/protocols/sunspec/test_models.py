"""Layouts of models: places as pysunspec2 computes them, values as its own codecs write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sunspec2 import mb
from sunspec2.modbus.client import SunSpecModbusClientDevice, SunSpecModbusClientModel

from protocols.errors import CodecError, LocalProtocolError
from protocols.sunspec.models import KINDS, model

MODELS = (1, 704, 713, 802)


def judge_points(number: int) -> dict[str, tuple[int, int]]:
    """Return offset and length of each point, as pysunspec2 sees them."""
    layout = model(number)
    device = SunSpecModbusClientDevice()
    judge = SunSpecModbusClientModel(
        model_id=number,
        model_len=layout.registers - 2,
        data=bytes(2 * layout.registers),
        mb_device=device,
    )
    points = {name: (point.offset, point.len) for name, point in judge.points.items()}
    for group_name, group in judge.groups.items():
        for name, point in group.points.items():
            points[f"{group_name}.{name}"] = (point.offset, point.len)
    return points


@pytest.mark.parametrize("number", MODELS)
def test_points_are_where_pysunspec2_has_them(number: int) -> None:
    ours = {name: (point.offset, point.size) for name, point in model(number).points.items()}
    assert ours == judge_points(number)


@pytest.mark.parametrize(("number", "length"), [(1, 66), (704, 65), (713, 7), (802, 62)])
def test_models_have_the_published_lengths(number: int, length: int) -> None:
    assert model(number).registers - 2 == length


@pytest.mark.parametrize("kind", sorted(set(KINDS) - {"pad", "bitfield64"}))
def test_numbers_are_written_as_pysunspec2_writes_them(kind: str) -> None:
    info = mb.point_type_info[kind]
    assert KINDS[kind].layout.pack(5) == info.to_data(5)
    assert KINDS[kind].layout.pack(KINDS[kind].absent) == mb.create_unimpl_value(kind)


@given(st.integers(-(2**15) + 1, 2**15 - 1))
def test_numbers_round_trip(value: int) -> None:
    point = model(802).point("A")
    assert point.decode(point.encode(value)) == value


@given(st.text(max_size=8).filter(lambda text: "\0" not in text))
def test_strings_round_trip(text: str) -> None:
    point = model(1).point("Mn")
    assert point.decode(point.encode(text)) == (text or None)


def test_not_implemented_is_none() -> None:
    for number in MODELS:
        for point in model(number).points.values():
            if not point.kind.startswith("acc"):
                assert point.decode(point.encode(None)) is None


def test_what_may_be_written_is_known() -> None:
    assert model(704).point("WSet").writable
    assert not model(802).point("SoC").writable
    assert model(802).point("ChaSt").symbols["FULL"] == 5
    assert model(704).point("PFWInj.PF").scale == "PF_SF"


@pytest.mark.parametrize(
    ("name", "value"), [("A", 2**15), ("V", -1), ("V", 2**16), ("A", "x"), ("NCyc", 2**32)]
)
def test_what_does_not_fit_is_our_error(name: str, value: int | str) -> None:
    with pytest.raises(CodecError, match=name):
        model(802).point(name).encode(value)


def test_what_does_not_exist_is_named() -> None:
    with pytest.raises(LocalProtocolError, match="no SunSpec model 60000"):
        model(60_000)
    with pytest.raises(LocalProtocolError, match="802 has no point Amps"):
        model(802).point("Amps")
    with pytest.raises(LocalProtocolError, match="803 repeats"):
        model(803)
    with pytest.raises(CodecError):
        model(802).point("A").decode(b"\0")
    with pytest.raises(CodecError):
        model(1).point("Opt").encode("x" * 17)
