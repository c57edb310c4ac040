"""Register maps and images."""

import pytest

from protocols.errors import LocalProtocolError
from protocols.sunspec.image import Change, IllegalAddress, Image, RegisterMap, Run

MAP = RegisterMap.of((1, 713))
# base 40000: "SunS" | model 1 at 40002, 68 registers | model 713 at 40070, 9 | end at 40079


def test_a_map_is_the_mark_the_models_and_the_end() -> None:
    image = Image(MAP, {(1, "Mn"): "M", (713, "SoC"): 5_000})
    octets = image.octets(40_000, 81)
    assert octets[:8] == b"SunS" + bytes.fromhex("0001 0042")
    assert octets[8:10] == b"M\0"
    #                            ID   L    WHRtg WHAvail SoC SoH  Sta  WH_SF Pct_SF | end, 0
    assert octets[140:].hex(" ", 2) == "02c9 0007 ffff ffff 1388 ffff ffff 8000 8000 ffff 0000"
    assert MAP.end == 40_081
    assert image.read(40_070, 2) == (713, 7)


def test_values_are_set_and_got() -> None:
    image = Image(MAP, {})
    assert image.get((713, "SoC")) is None
    image.set((713, "SoC"), 0)
    assert image.number((713, "SoC")) == 0
    image.set((713, "SoC"), None)
    assert image.get((713, "SoC")) is None
    with pytest.raises(LocalProtocolError, match="is a string"):
        Image(MAP, {(1, "Mn"): "M"}).number((1, "Mn"))


def test_a_copy_is_its_own() -> None:
    image = Image(MAP, {(713, "SoC"): 1})
    twin = image.copy()
    twin.set((713, "SoC"), 2)
    assert (image.get((713, "SoC")), twin.get((713, "SoC"))) == (1, 2)


@pytest.mark.parametrize(("address", "count"), [(39_999, 2), (40_080, 2), (0, 3), (40_081, 1)])
def test_registers_that_are_not_there(address: int, count: int) -> None:
    with pytest.raises(IllegalAddress, match="40000 to 40080"):
        Image(MAP, {}).read(address, count)


def test_writes_are_whole_writable_points_that_are_implemented() -> None:
    layout = RegisterMap.of((704,))
    image = Image(layout, {(704, "WSetEna"): 0, (704, "WSetMod"): 1, (704, "WSet"): 0})
    at = layout.place((704, "WSetEna")).address
    changes = image.changes(at, (1, 1, 0xFFFF, 0xFFFE))
    assert changes == (
        Change((704, "WSetEna"), 1),
        Change((704, "WSetMod"), 1),
        Change((704, "WSet"), -2),
    )
    assert image.get((704, "WSetEna")) == 0
    image.apply(changes)
    assert image.get((704, "WSet")) == -2
    for address, registers, why in [
        (at, (1, 1, 0), "within the write"),
        (at + 3, (0,), "begins no point"),
        (at + 4, (0, 0), "WSetRvrt of model 704 is not implemented"),
        (layout.place((704, "WSet_SF")).address, (0,), "WSet_SF of model 704 is read-only"),
        (layout.end - 2, (0,), "begins no point"),
    ]:
        with pytest.raises(IllegalAddress, match=why):
            image.changes(address, registers)


def test_unknown_models_and_short_ones_are_passed_over() -> None:
    runs = [Run(60_001, 2, 5), Run(802, 7, 10), Run(713, 17, 9), Run(713, 26, 9)]
    layout = RegisterMap(runs, base=0)
    assert layout.place((713, "SoC")).address == 17 + 4
    assert (802, "WHRtg") in layout.places
    assert (802, "SocRsvMax") in layout.places
    assert (802, "SoCRsvMin") not in layout.places
    assert layout.end == 37
    assert Image(layout, {}).read(2, 2) == (60_001, 3)
    assert Image(layout, {}).read(35, 2) == (0xFFFF, 0)


def test_points_that_are_not_in_the_map_are_named() -> None:
    with pytest.raises(LocalProtocolError, match="no point V of model 802"):
        Image(MAP, {(802, "V"): 1})
    with pytest.raises(LocalProtocolError, match="no SunSpec model 60001"):
        RegisterMap.of((60_001,))


def test_registers_that_were_read_are_taken() -> None:
    image = Image(MAP, {})
    image.load(40_074, (77, 78))
    assert (image.get((713, "SoC")), image.get((713, "SoH"))) == (77, 78)
    with pytest.raises(IllegalAddress):
        image.load(40_080, (1, 2))
