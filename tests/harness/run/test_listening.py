"""Waiting until somebody listens."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from harness.errors import EnvironmentUnfitError
from harness.run.listening import address_listens, url_listens
from harness.run.preparation import free_ports


async def accept(port: int, *, host: str = "127.0.0.1", after_s: float = 0.0) -> None:
    await trio.sleep(after_s)
    await trio.serve_tcp(lambda stream: stream.aclose(), port, host=host)


async def test_who_listens_later_is_waited_for() -> None:
    (port,) = free_ports(1)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: accept(port, after_s=0.3))
        with trio.fail_after(20):
            await url_listens(f"http://127.0.0.1:{port}/below", who="it", key="a.url")
            await address_listens("127.0.0.1", port, who="it", key="a.push")
        nursery.cancel_scope.cancel()


async def test_who_never_listens_is_named_with_the_reason(
    autojump_clock: trio.testing.MockClock,
) -> None:
    (port,) = free_ports(1)
    wanted = rf"no layer listens at http://127.0.0.1:{port} \(a.url\): .*; it was tried for 30 s"
    with pytest.raises(EnvironmentUnfitError, match=wanted):
        await url_listens(f"http://127.0.0.1:{port}", who="layer", key="a.url")
    assert 30 <= trio.current_time() < 36


@pytest.mark.parametrize(("scheme", "port"), [("http", 80), ("https", 443)])
async def test_a_url_without_a_port_is_that_of_its_scheme(
    monkeypatch: pytest.MonkeyPatch, scheme: str, port: int
) -> None:
    dialled: list[tuple[str, int]] = []

    async def dial(host: str, number: int) -> trio.abc.Stream:
        dialled.append((host, number))
        return trio.testing.memory_stream_pair()[0]

    monkeypatch.setattr("trio.open_tcp_stream", dial)
    await url_listens(f"{scheme}://layer.example/api", who="layer", key="a.url")
    assert dialled == [("layer.example", port)]
