from __future__ import annotations

from ipaddress import ip_address, ip_network

import numpy as np
import pytest

from netem.addresses import CABLE_PREFIX, FLEET_ADDRESS, HEAD_END_ADDRESS, AddressPlan


def plan(*categories: int) -> AddressPlan:
    return AddressPlan(np.array(categories, dtype=np.uint8))


def test_addresses_count_within_each_class_from_one() -> None:
    addresses = plan(0, 3, 0, 3, 3)
    given = [addresses.address(number) for number in range(5)]
    assert given == ["10.1.0.1", "10.4.0.1", "10.1.0.2", "10.4.0.2", "10.4.0.3"]
    assert [addresses.index_in_class(number) for number in range(5)] == [0, 0, 1, 1, 2]
    assert list(addresses.numbers_of(3)) == [1, 3, 4]
    assert [addresses.size_of(category) for category in range(5)] == [2, 0, 0, 3, 0]


def test_the_256th_of_a_class_goes_on_in_the_third_octet() -> None:
    addresses = AddressPlan(np.zeros(600, dtype=np.uint8))
    assert addresses.address(254) == "10.1.0.255"
    assert addresses.address(255) == "10.1.1.0"
    assert addresses.address(599) == "10.1.2.88"


def test_every_address_leads_back_to_its_number_and_lies_in_its_class() -> None:
    category = np.random.default_rng(7).integers(0, 255, 50_000).astype(np.uint8)
    addresses = AddressPlan(category)
    assert len(np.unique(addresses.packed)) == len(addresses) == 50_000
    for number in range(0, 50_000, 97):
        address = addresses.address(number)
        assert addresses.number_of(address) == number
        assert ip_address(address) in ip_network(addresses.prefix(int(category[number])))
        assert addresses.category(number) == category[number]


@pytest.mark.parametrize(
    "address",
    ["10.1.0.0", "10.1.0.3", "10.2.0.1", "10.0.0.1", "11.1.0.1", HEAD_END_ADDRESS, "", "10.1.0"],
)
def test_an_address_of_nobody_has_no_number(address: str) -> None:
    assert plan(0, 0).number_of(address) is None


def test_a_full_class_is_taken_and_one_more_refused() -> None:
    assert AddressPlan(np.zeros(65_534, dtype=np.uint8)).address(65_533) == "10.1.255.254"
    with pytest.raises(ValueError, match=r"link class 0 has 65,535 concentrators"):
        AddressPlan(np.zeros(65_535, dtype=np.uint8))


def test_class_255_is_refused() -> None:
    with pytest.raises(ValueError, match="at most 255 link classes"):
        plan(0, 255)


def test_a_lab_without_concentrators_has_no_addresses() -> None:
    assert len(plan()) == 0
    assert plan().number_of("10.1.0.1") is None


def test_both_ends_of_the_cable_lie_on_it() -> None:
    cable = ip_network(CABLE_PREFIX)
    assert {ip_address(HEAD_END_ADDRESS), ip_address(FLEET_ADDRESS)} == set(cable.hosts())
