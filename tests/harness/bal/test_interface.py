"""Interfaces that say where a battery is."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from harness.bal.config import Endpoint
from harness.bal.happenings import MAKE_BATTERY
from harness.bal.interface import endpoint_of
from harness.bal.tls import TlsFiles
from tests.harness.bal.test_service import HOME, executed, set_current
from tests.support.bal import bal_config, open_layer, settled
from tests.support.batteries import AH, battery_config, open_park
from tests.support.faces import open_face

TLS = TlsFiles(certificate=Path("a"), key=Path("b"), authorities=Path("c"))


@pytest.mark.parametrize(
    ("interface", "endpoint"),
    [
        ("jbd://10.0.0.1:8899", Endpoint(driver="jbd", host="10.0.0.1", port=8899)),
        ("jbd:///dev/ttyUSB0", Endpoint(driver="jbd", device="/dev/ttyUSB0")),
        ("jbd:///dev/serial/by-id/a%20b", Endpoint(driver="jbd", device="/dev/serial/by-id/a b")),
        ("sunspec://h:502/3", Endpoint(driver="sunspec", host="h", port=502, unit=3)),
        ("sunspec://h:502", Endpoint(driver="sunspec", host="h", port=502)),
        ("v1://h:4004/home", Endpoint(driver="v1", host="h", port=4004, battery="home")),
        ("v2://[::1]:1/a/b%20c", Endpoint(driver="v2", host="::1", port=1, battery="a/b c")),
        ("v3://h:1/x", Endpoint(driver="v3", host="h", port=1, battery="x", tls=TLS)),
        ("v1://h:4004", Endpoint(driver="v1", host="h", port=4004)),
    ],
)
def test_a_url_says_where_a_battery_is(interface: str, endpoint: Endpoint) -> None:
    assert endpoint_of(interface, TLS) == endpoint


@pytest.mark.parametrize(
    "interface",
    [
        *("jbd", "", "sunspec", "COM7", "http://h:80/", "v1://h/home", "v1://:4004/home"),
        *("v1://h:99999/home", "v1://h:0/home", "v1://h:x/home", "sunspec://h:502/x"),
        *("sunspec:///dev/ttyUSB0", "v1:///dev/ttyUSB0", "/dev/ttyUSB0", "jbd:dev/ttyUSB0"),
        *("sunspec://h:502/300", "v1://[h:1/x", f"v1://h:1/{'x' * 256}"),
    ],
)
def test_other_words_say_nothing(interface: str) -> None:
    assert endpoint_of(interface, TLS) is None


def test_without_certificates_v3_is_not_to_be_reached() -> None:
    assert endpoint_of("v3://h:1/x", None) is None


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"driver": "jbd"}, "give host and port, or the device"),
        ({"driver": "jbd", "host": "h"}, "give host and port, or the device"),
        ({"driver": "jbd", "host": "h", "port": 1, "device": "/dev/ttyS0"}, "leave them out"),
        ({"driver": "jbd", "tls": TLS, "device": "/dev/ttyS0"}, "leave them out"),
        ({"driver": "sunspec", "device": "/dev/ttyS0"}, "sunspec is spoken over TCP"),
        ({"driver": "jbd", "device": "ttyS0"}, "pattern"),
    ],
)
def test_an_endpoint_is_one_place(told: dict[str, object], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        Endpoint.model_validate(told)


async def test_a_battery_of_another_node_is_made_while_the_layer_lives(tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    async with (
        open_park(tmp_path, battery_config(2)) as park,
        open_layer(bal_config(tmp_path, park, extra=HOME), park.clock) as near,
        open_face(near, speaks="v1") as face,
    ):
        config = bal_config(tmp_path / "far", park, endpoints={}, topology=None)
        async with open_layer(config, park.clock) as far:
            details = {
                "name": "far",
                "kind": "networked",
                "interface": f"v1://127.0.0.1:{face.port}/home",
                "nameplate": [51_200, 80_000, 80_000, 220 * AH],
                "point": None,
            }
            await far.command(MAKE_BATTERY, details)
            assert (await far.status("far")).current.capacity_ma_ms == 220 * AH
            await far.command(*set_current("far", 7_000))
            await settled(far)
        async with open_layer(config, park.clock) as far:
            assert (await far.status("far")).online
        await settled(near)
        assert executed(park, 0)[-1] + executed(park, 1)[-1] == 7_000
