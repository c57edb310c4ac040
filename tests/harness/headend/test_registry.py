from __future__ import annotations

import numpy as np
import pytest

from emulator.identity import concentrator_system_title, meter_names
from harness.headend.registry import Registry
from tests.support.headend import METERS, credentials_of, provisioned


def test_meters_are_found_by_name_in_any_order() -> None:
    names = meter_names(METERS, 2 * METERS)[::-1]
    numbers, known = Registry(provisioned()).numbers(1, names)
    assert numbers.tolist() == [5, 4, 3]
    assert known.all()


@pytest.mark.parametrize(
    "name", [b"MST0000000000001", b"", b"zzzzzzzzzzzzzzzz", b"MST0000000000004 "]
)
def test_names_that_are_not_behind_the_concentrator_are_unknown(name: bytes) -> None:
    registry = Registry(provisioned())
    names = np.array([name, meter_names(METERS, METERS + 1)[0]], "S17")
    numbers, known = registry.numbers(1, names)
    assert known.tolist() == [False, True]
    assert numbers[1] == METERS
    assert "1 meters not provisioned behind concentrator 1" in str(
        registry.unknown(1, names[~known])
    )


def test_a_shard_knows_its_own_concentrators_only() -> None:
    registry = Registry(provisioned(4), range(2, 4))
    assert registry.credentials(concentrator_system_title(1)) is None
    assert registry.credentials(concentrator_system_title(2)) == credentials_of(2)
    assert sorted(registry.concentrators) == [2, 3]
    assert registry.by_title(b"nobody78") is None
