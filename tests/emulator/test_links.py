"""Links of a shard: whose address, which profile, which draws."""

from __future__ import annotations

import socket

import pytest
import trio
from trio.testing import open_stream_to_socket_listener

from emulator.fleet_config import Endpoint, FleetConfig
from emulator.identity import concentrator_address
from emulator.links import FleetLinks
from netem.links import open_links
from tests.support.drawn import Drawn, drawn_delays
from tests.support.fleets import fleet_config, grid_of, slow_profiles


async def dialled(config: FleetConfig, number: int) -> tuple[str, FleetLinks]:
    """Dial as a concentrator; return the address the head-end sees, and the links."""
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    endpoint = Endpoint(host="127.0.0.1", port=listener.socket.getsockname()[1])
    async with listener, open_links(config.profiles, config.links, config.seed) as links:
        fleet = FleetLinks(links, config, grid_of(config))
        stream = await fleet.connect(number, endpoint, "dlms", 0, 0)
        async with await listener.accept() as accepted:
            address = accepted.socket.getpeername()[0]
            await stream.aclose()
            assert await accepted.receive_some() == b""
    return str(address), fleet


@pytest.mark.parametrize("number", [0, 2])
async def test_a_concentrator_dials_from_its_own_address(number: int) -> None:
    address, _ = await dialled(fleet_config(), number)
    assert address == concentrator_address(number)


async def test_a_modelled_link_is_the_one_of_the_grid() -> None:
    config = fleet_config(link="model", profiles=slow_profiles())
    _, fleet = await dialled(config, 1)
    grid = grid_of(config)
    name = grid.parameters.links[grid.link_category[1]].profile
    assert fleet.name(1) == name
    used = {name: item["connections"] for name, item in fleet.statistics().items()}
    assert used == dict.fromkeys(used, 0) | {name: 1}


async def test_without_a_model_nothing_is_drawn() -> None:
    _, fleet = await dialled(fleet_config(), 1)
    assert not any(item["connections"] for item in fleet.statistics().values())


async def test_nobody_listens() -> None:
    config = fleet_config()
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = Endpoint(host="127.0.0.1", port=closed.getsockname()[1])
        async with open_links(config.profiles, config.links, config.seed) as links:
            fleet = FleetLinks(links, config, grid_of(config))
            with pytest.raises(ConnectionRefusedError):
                await fleet.connect(0, endpoint, "dlms", 0, 0)


async def test_the_same_exchange_of_another_connection_has_draws_of_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A client that comes back for the same thing does not meet the same delays every time."""
    first, second, again = [await answered(connection, monkeypatch) for connection in (1, 2, 1)]
    assert first.keys() == again.keys() == {(0, 0, 1, "handshake"), (0, 1, 1, "6 octets up")}
    assert second.keys() == {(0, 0, 2, "handshake"), (0, 1, 2, "6 octets up")}
    handshake = first[0, 0, 1, "handshake"]
    assert handshake == again[0, 0, 1, "handshake"] != second[0, 0, 2, "handshake"]


async def answered(connection: int, monkeypatch: pytest.MonkeyPatch) -> Drawn:
    """Accept a connection and answer on it; return what was drawn."""
    config = fleet_config(link="model", profiles=slow_profiles())
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    with drawn_delays(monkeypatch) as drawn:
        async with listener, open_links(config.profiles, config.links, config.seed) as links:
            fleet = FleetLinks(links, config, grid_of(config))
            async with await open_stream_to_socket_listener(listener) as near:
                stream = fleet.accepted(0, await listener.accept(), connection)
                stream.begin_exchange(1, connection)
                await stream.send_all(b"answer")
                assert await near.receive_some() == b"answer"
                stream.reset()
    return drawn
