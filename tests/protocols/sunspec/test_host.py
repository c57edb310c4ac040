"""A host of a battery: jobs of several requests, and what ends them."""

import pytest

from protocols.errors import LocalProtocolError
from protocols.sunspec.device import ReadRequested, SunSpecDevice
from protocols.sunspec.faults import Fault
from protocols.sunspec.host import (
    Found,
    HostEvent,
    JobFailed,
    JobRefused,
    PowerRead,
    PowerSet,
    StatusRead,
    SunSpecHost,
)
from protocols.sunspec.image import Image, RegisterMap, Run
from protocols.sunspec.storage import (
    STORAGE_MODELS,
    StorageStatus,
    power_command,
    storage_image,
    write_storage,
)

STATUS = StorageStatus(51_200, 10_000, 512_000, 20_000, 30_000, 1_024_000, 1_536_000, 110_000)


def battery(base: int = 40_000) -> SunSpecDevice:
    return SunSpecDevice(storage_image(RegisterMap.of(STORAGE_MODELS, base=base), STATUS, {}))


def converse(host: SunSpecHost, device: SunSpecDevice, *, refuse_writes: bool = False) -> HostEvent:
    """Carry octets until the job under way is over."""
    for _ in range(200):
        event = host.next_event()
        if event is not None:
            return event
        device.receive_data(host.data_to_send())
        while (wanted := device.next_event()) is not None:
            if isinstance(wanted, ReadRequested):
                device.answer()
            elif refuse_writes:
                device.refuse(6)
            else:
                device.accept()
        host.receive_data(device.data_to_send(), now=0.0)
    raise AssertionError("the job never ended")


def found(device: SunSpecDevice) -> SunSpecHost:
    host = SunSpecHost()
    host.find(now=0.0)
    assert isinstance(converse(host, device), Found)
    return host


@pytest.mark.parametrize("base", [40_000, 0, 50_000])
def test_the_map_is_found_wherever_it_may_be(base: int) -> None:
    device = battery(base)
    host = SunSpecHost()
    host.find(now=0.0)
    event = converse(host, device)
    assert isinstance(event, Found)
    assert event.map.base == base
    assert event.map.runs == device.image.map.runs


def test_a_status_is_one_moment() -> None:
    device = battery()
    write_storage(device.image, STATUS)
    host = found(device)
    host.read_status(now=0.0)
    assert converse(host, device) == StatusRead(STATUS, 1)


def test_a_known_map_need_not_be_found() -> None:
    device = battery()
    host = SunSpecHost(layout=device.image.map)
    host.read_status(now=0.0)
    assert isinstance(converse(host, device), StatusRead)


def test_a_power_is_commanded_in_one_write() -> None:
    device = battery()
    host = found(device)
    host.set_power(-750_001, now=0.0)
    assert converse(host, device) == PowerSet(-750_001)
    assert power_command(device.image) == -750_001


def test_the_power_that_was_told_is_read_back() -> None:
    device = battery()
    host = found(device)
    host.read_power(now=0.0)
    assert converse(host, device) == PowerRead(None)
    host.set_power(-750_001, now=0.0)
    converse(host, device)
    for asker in (host, SunSpecHost(layout=device.image.map)):
        asker.read_power(now=0.0)
        assert converse(asker, device) == PowerRead(-750_001)


def test_a_power_told_in_percent_is_none_in_watts() -> None:
    device = battery()
    device.image.set((704, "WSetEna"), 1)
    device.image.set((704, "WSetMod"), 0)
    host = found(device)
    host.read_power(now=0.0)
    assert converse(host, device) == PowerRead(None)


def test_a_map_that_holds_no_more_is_noticed_before_anything_is_taken_from_it() -> None:
    known = RegisterMap.of((1, 802, 713, 704))
    device = SunSpecDevice(storage_image(RegisterMap.of((1, 713, 802, 704)), STATUS, {}))
    host = SunSpecHost(layout=known)
    host.read_status(now=0.0)
    event = converse(host, device)
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.NO_MAP
    host.find(now=0.0)
    assert isinstance(converse(host, device), Found)


def test_a_refused_command_says_so_and_changes_nothing() -> None:
    device = battery()
    host = found(device)
    host.set_power(1, now=0.0)
    event = converse(host, device, refuse_writes=True)
    assert isinstance(event, JobRefused)
    assert event.code == 6
    assert power_command(device.image) is None
    host.set_power(1, now=0.0)
    assert converse(host, device) == PowerSet(1)


def test_without_a_mark_there_is_no_map() -> None:
    device = battery(base=30_000)
    host = SunSpecHost()
    host.find(now=0.0)
    event = converse(host, device)
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.NO_MAP
    assert "40000" in event.detail
    with pytest.raises(LocalProtocolError, match="find it first"):
        host.read_status(now=0.0)


def test_a_chain_of_models_that_does_not_end_is_given_up() -> None:
    runs = [Run(60_000, 40_002 + 2 * number, 2) for number in range(100)]
    device = SunSpecDevice(Image(RegisterMap(runs), {}))
    host = SunSpecHost()
    host.find(now=0.0)
    event = converse(host, device)
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.NO_MAP


def test_a_chain_that_leaves_the_registers_is_refused() -> None:
    image = Image(RegisterMap([Run(60_000, 40_002, 5)]), {})
    image.load(40_007, (60_001, 9))
    host = SunSpecHost()
    host.find(now=0.0)
    assert isinstance(converse(host, SunSpecDevice(image)), JobRefused)


def test_silence_ends_the_job_and_another_may_begin() -> None:
    device = battery()
    host = found(device)
    host.read_status(now=10.0)
    host.data_to_send()
    assert host.deadline == 12.0
    host.handle_deadline(12.0)
    event = host.next_event()
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.TIMEOUT
    host.read_status(now=13.0)
    assert isinstance(converse(host, device), StatusRead)


def test_the_end_of_the_stream_ends_the_job() -> None:
    host = SunSpecHost()
    host.find(now=0.0)
    host.receive_eof()
    host.receive_eof()
    event = host.next_event()
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.TRANSPORT_CLOSED
    assert host.next_event() is None
    assert host.closed
    with pytest.raises(LocalProtocolError):
        host.find(now=0.0)


def test_one_job_at_a_time() -> None:
    host = SunSpecHost()
    host.find(now=0.0)
    with pytest.raises(LocalProtocolError, match="under way"):
        host.find(now=0.0)


def test_a_battery_without_model_704_takes_no_power() -> None:
    device = SunSpecDevice(storage_image(RegisterMap.of((1, 802)), STATUS, {}))
    host = found(device)
    with pytest.raises(LocalProtocolError, match="no point WSetEna of model 704"):
        host.set_power(1, now=0.0)


def test_a_power_beyond_the_registers_fails_the_job_and_another_may_begin() -> None:
    device = battery()
    host = found(device)
    host.set_power(2**31, now=0.0)
    event = converse(host, device)
    assert isinstance(event, JobFailed)
    assert event.fault is Fault.DOES_NOT_FIT
    assert "WSet" in event.detail
    assert power_command(device.image) is None
    host.set_power(2**31 - 1, now=0.0)
    assert converse(host, device) == PowerSet(2**31 - 1)


def test_batteries_with_the_same_models_share_their_map() -> None:
    maps: list[RegisterMap] = []
    for _ in range(2):
        host = SunSpecHost()
        host.find(now=0.0)
        event = converse(host, battery())
        assert isinstance(event, Found)
        maps.append(event.map)
    assert maps[0] is maps[1]


def test_models_that_stop_before_their_scale_factors_say_nothing() -> None:
    runs = [Run(1, 40_002, 68), Run(802, 40_070, 50), Run(713, 40_120, 9), Run(704, 40_129, 30)]
    image = Image(RegisterMap(runs), {(713, "SoC"): 5_000, (713, "Pct_SF"): -2})
    device = SunSpecDevice(image)
    host = found(device)
    host.read_status(now=0.0)
    assert converse(host, device) == StatusRead(StorageStatus(charge_ppm=500_000), 1)


@pytest.mark.parametrize(("end", "event"), [(65_534, Found), (65_535, JobFailed)])
def test_a_map_ends_within_the_registers_there_are(end: int, event: type[HostEvent]) -> None:
    runs = [Run(60_000, 50_002, end - 50_002)]
    device = SunSpecDevice(Image(RegisterMap(runs, base=50_000), {}))
    host = SunSpecHost()
    host.find(now=0.0)
    assert isinstance(converse(host, device), event)
