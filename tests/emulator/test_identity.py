"""Names, system titles, test keys and addresses."""

from __future__ import annotations

from ipaddress import IPv4Address

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.identity import (
    ADDRESSES,
    addresses_of,
    concentrator_address,
    concentrator_at,
    concentrator_name,
    concentrator_system_title,
    head_end_system_title,
    is_loopback,
    meter_name,
    meter_names,
    meter_numbers,
    seeded_test_keys,
    serial_number,
)


def test_names_are_sixteen_octets() -> None:
    assert meter_name(0) == b"MST0000000000001"
    assert concentrator_name(49_999) == b"MSC0000000050000"
    assert serial_number(41) == "0000000000042"


def test_system_titles_are_eight_octets() -> None:
    assert concentrator_system_title(0) == b"MSC\x00\x00\x00\x00\x01"
    assert head_end_system_title(255) == b"MSH\x00\x00\x00\x01\x00"


@given(first=st.integers(0, 2**32), count=st.integers(0, 30))
def test_names_in_one_go_are_the_names_one_by_one(first: int, count: int) -> None:
    names = meter_names(first, first + count)
    assert names.tolist() == [meter_name(meter) for meter in range(first, first + count)]
    assert names.dtype == "S16"


@given(st.lists(st.integers(0, 10**13 - 2)))
def test_names_give_the_meters_back(meters: list[int]) -> None:
    names = np.array([meter_name(meter) for meter in meters], "S16")
    assert meter_numbers(names).tolist() == meters


@pytest.mark.parametrize(
    "name",
    [b"", b"MSC0000000000001", b"MST0000000000000", b"MST000000000001", b"MST00000000000x1"],
)
def test_a_foreign_name_is_no_meter(name: bytes) -> None:
    assert meter_numbers(np.array([meter_name(4), name], "S16")).tolist() == [4, -1]


def test_test_keys_differ_by_device_purpose_and_seed() -> None:
    keys = [
        seeded_test_keys(seed, device)
        for seed in (1, 2)
        for device in (concentrator_name(0), concentrator_name(1), meter_name(0))
    ]
    octets = {
        key
        for device in keys
        for key in (device.unicast_encryption_key, device.authentication_key, device.secret)
    }
    assert len(octets) == 18
    assert {len(key) for key in octets} == {16}
    assert seeded_test_keys(1, concentrator_name(0)) == keys[0]


@pytest.mark.parametrize(
    ("concentrator", "address"),
    [
        (0, "127.1.0.1"),
        (253, "127.1.0.254"),
        (254, "127.1.1.1"),
        (254 * 256, "127.2.0.1"),
        (ADDRESSES - 1, "127.255.255.254"),
    ],
)
def test_addresses_follow_the_plan(concentrator: int, address: str) -> None:
    assert concentrator_address(concentrator) == address


@given(st.integers(0, ADDRESSES - 1))
def test_an_address_gives_the_concentrator_back(concentrator: int) -> None:
    address = concentrator_address(concentrator)
    assert IPv4Address(address).is_loopback
    assert concentrator_at(address) == concentrator


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "127.1.0.0", "127.1.0.255", "10.0.0.1", "128.0.0.1"]
)
def test_an_address_outside_the_plan_is_nobody(address: str) -> None:
    assert concentrator_at(address) is None


def test_there_are_only_so_many_addresses() -> None:
    with pytest.raises(ValueError, match="only 16,581,120"):
        concentrator_address(ADDRESSES)


@pytest.mark.parametrize("in_lab", [False, True])
def test_every_address_of_a_fleet_gives_its_concentrator_back(in_lab: bool) -> None:
    category = np.array([0, 1, 0, 2, 1, 0], np.uint8)
    addresses = addresses_of(category, in_lab=in_lab)
    known = [addresses.address(number) for number in range(len(category))]
    assert len(set(known)) == len(known)
    assert [addresses.number_of(address) for address in known] == list(range(len(category)))
    assert all(is_loopback(address) is not in_lab for address in known)


def test_hosts_of_this_machine_alone() -> None:
    assert is_loopback("localhost")
    assert is_loopback("127.9.9.9")
    assert not is_loopback("192.0.2.1")
    assert not is_loopback("head-end.example")
