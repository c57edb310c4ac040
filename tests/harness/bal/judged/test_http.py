"""The HTTP API under hostile requests: a typed problem each, and the layer goes on."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.harness.bal.judged.rig import TOKEN, Node, Pack, node

A = "/batteries/A"
NOW = 1_767_225_600_000
SET = f"{A}/current"


def body(**fields: Any) -> bytes:
    return json.dumps(fields).encode()


def part(name: str, share_ppm: Any) -> dict[str, Any]:
    return {"name": name, "share_ppm": share_ppm}


def window(start_ms: Any, end_ms: Any, current_ma: Any = 1) -> bytes:
    return body(current_ma=current_ma, start_ms=start_ms, end_ms=end_ms)


def plate(**changes: Any) -> bytes:
    whole = {"voltage_mv": 1, "capacity_mah": 1, "max_charge_ma": 0, "max_discharge_ma": 0}
    return body(**{"name": "new", **whole, **changes})


REFUSED: list[tuple[str, str, bytes, int, str]] = [
    # What is said, and the word of the answer that names what is wrong.
    *(
        ("POST", SET, b'{"current_ma": %s}' % number, 422, "current_ma")
        for number in (b"NaN", b"-Infinity", b"1e400", b"1.5", b"true", b'"5"', b"null", b"[]")
    ),
    ("POST", SET, b'{"current_ma": %s}' % (b"9" * 4_000), 422, "current_ma"),
    ("POST", SET, b'{"current_ma": %s}' % (b"9" * 5_000), 400, "body"),
    ("POST", SET, body(current_ma=50_001), 422, '"A"'),
    ("POST", SET, body(current_ma=-(2**53)), 422, '"A"'),
    ("POST", f"{A}/charge", body(current_ma=-1), 422, "current_ma"),
    ("POST", f"{A}/discharge", body(current_ma=50_001), 422, '"A"'),
    ("POST", SET, body(current_mA=1), 422, "current_mA"),
    ("POST", SET, body(current_ma=1, id=""), 422, "id"),
    ("POST", SET, body(current_ma=1, id="x" * 101), 422, "id"),
    ("POST", SET, b'{"current_ma": 1, "id": "\\ud800"}', 422, "id"),
    ("POST", SET, b'{"current_ma": 1, "\\ud800": 1}', 422, "body"),
    ("POST", SET, b"[" * 30_000, 400, "body"),
    ("POST", SET, b'{"a":' * 10_000, 400, "body"),
    ("POST", SET, b"\xff\xfe", 422, "JSON"),
    ("POST", SET, b"", 422, "body"),
    ("POST", SET, b" " * 70_000, 413, "65,536"),
    ("POST", "/batteries/nobody/current", body(current_ma=1), 404, "nobody"),
    ("POST", "/batteries/nobody/settle", b"", 404, "nobody"),
    ("DELETE", "/batteries/nobody", b"", 404, "nobody"),
    ("GET", "/batteries/nobody", b"", 404, "nobody"),
    ("GET", "/batteries/nobody/location", b"", 404, "nobody"),
    ("GET", "/batteries/nobody/flows", b"", 404, "nobody"),
    ("GET", "/batteries/..%2f..%2fetc/passwd", b"", 404, "../../etc/passwd"),
    ("GET", "/batteries/%ff%00", b"", 404, "none of that name"),
    ("GET", "/batteries/" + "x" * 201, b"", 422, "name"),
    ("GET", "/batteries?after=" + "9" * 22, b"", 422, "after"),
    ("GET", "/batteries?count=0", b"", 422, "count"),
    ("GET", "/flows?from_ms=1e3", b"", 422, "from_ms"),
    ("GET", "/flows?from_ms=5&to_ms=4", b"", 422, "5 to 4 ms"),
    ("GET", "/batteries/p/flows?from_ms=5&to_ms=4", b"", 422, "5 to 4 ms"),
    ("GET", f"/flows?to_ms={2**70}", b"", 422, "to_ms"),
    *(
        ("POST", f"{A}/schedule", window(*times), 422, word)
        for times, word in (
            ((0, 1), '"A"'),
            ((NOW + 9_000, NOW + 9_000), '"A"'),
            ((NOW + 9_001, NOW + 9_000), '"A"'),
            ((NOW + 9_000, NOW + 9_001, 50_001), '"A"'),
            ((-1, 1), "start_ms"),
            ((10**30, 10**31), "start_ms"),
            ((NOW + 9_000, 2**64), "end_ms"),
            ((True, 2**53), "start_ms"),
        )
    ),
    *(
        ("POST", "/batteries", plate(**{field: value}), 422, field)
        for field in ("voltage_mv", "capacity_mah", "max_charge_ma", "max_discharge_ma")
        for value in (-1, 2**70, 1.5, True, "1")
    ),
    ("POST", "/batteries", plate(name="A"), 409, '"A"'),
    ("POST", "/batteries", plate(name=""), 422, "name"),
    ("POST", "/batteries", plate(name="x" * 201), 422, "name"),
    ("POST", "/batteries", plate(name="a\0b"), 422, "cannot be a name"),
    ("POST", "/batteries", plate(name="a\u202eb"), 422, "cannot be a name"),
    ("POST", "/batteries", plate(kind="aggregate"), 422, "kind"),
    ("POST", "/aggregators", body(name="x", sources=["x"]), 422, '"x"'),
    ("POST", "/aggregators", body(name="x", sources=["A", "A"]), 422, '"x"'),
    ("POST", "/aggregators", body(name="x", sources=[]), 422, "sources"),
    ("POST", "/aggregators", body(name="x", sources=["nobody"]), 404, "nobody"),
    ("POST", "/aggregators", body(name="x", sources=["AB"]), 409, '"AB"'),
    ("POST", "/aggregators", body(name="AB", sources=["p"]), 409, '"AB"'),
    ("POST", "/splitters", body(source="A", partitions=[part("A", 1)]), 422, '"A"'),
    ("POST", "/splitters", body(source="A", partitions=[part("x", 500_001)] * 2), 409, '"x"'),
    (
        "POST",
        "/splitters",
        body(source="A", partitions=[part("x", 500_000), part("y", 500_001)]),
        422,
        "1000001 ppm",
    ),
    ("POST", "/splitters", body(source="A", partitions=[part("x", 0)]), 422, "share_ppm"),
    ("POST", "/splitters", body(source="A", partitions=[part("x", True)]), 422, "share_ppm"),
    ("POST", "/splitters", body(source="A", partitions=[]), 422, "partitions"),
    ("POST", "/splitters", body(source="nobody", partitions=[part("x", 1)]), 404, "nobody"),
    ("POST", "/splitters", body(source="AB", partitions=[part("x", 1)]), 409, '"AB"'),
    ("DELETE", "/batteries/B", b"", 409, '"B"'),
    ("POST", "/batteries/B/current", body(current_ma=1), 409, '"AB"'),
    ("PUT", SET, b"{}", 405, "Method"),
    ("POST", "/nothing", b"", 404, "Not Found"),
]


async def begun(layer: Node) -> None:
    """Make a battery that is free, and one that is part of AB, which is divided."""
    for name in ("A", "B"):
        await layer.battery(name)
    await layer.do("/aggregators", name="AB", sources=["B"])
    await layer.split("AB", "proportional", p=60, q=40)


async def test_what_cannot_be_is_a_problem_that_names_the_thing(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50), B=Pack(50, 100, 50, 50)) as layer:
        await begun(layer)
        before = await layer.get("/batteries")
        for method, path, octets, status, word in REFUSED:
            told = await layer.ask(method, path, octets)
            assert told[0] == status, (method, path[:80], octets[:80], told)
            assert told[1]["status"] == status
            assert word in told[1]["detail"], (method, path[:80], octets[:80], told)
        assert await layer.get("/batteries") == before
        assert layer.packs["A"].told == layer.packs["B"].told == []
        await layer.do(SET, current_ma=-50_000)
        assert await layer.told("A") == [-50]


async def test_another_content_type_and_a_body_without_length(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50)) as layer:
        await layer.battery("A")
        head = f"POST {SET} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {TOKEN}\r\n"
        for kind in ("text/plain", "application/xml", "multipart/form-data", None):
            typed = head + (f"Content-Type: {kind}\r\n" if kind else "")
            plain = f"{typed}Content-Length: 17\r\nConnection: close\r\n\r\n"
            assert (await _raw(layer, plain.encode() + b'{"current_ma": 1}'))[0] == 422
        chunks = (b"2000\r\n" + b" " * 0x2000 + b"\r\n") * 20 + b"0\r\n\r\n"
        chunked = f"{head}Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        assert (await _raw(layer, chunked.encode() + chunks))[0] == 413
        for lie in ("-1", "9" * 5_000, "1, 2", "0x10"):
            lying = f"{head}Content-Length: {lie}\r\n\r\n{{}}"
            assert (await _raw(layer, lying.encode()))[0] == 400
        assert (await layer.ask("GET", A))[0] == 200


async def _raw(layer: Node, octets: bytes) -> tuple[int, bytes]:
    """Return the status of what answers octets, and the rest."""

    def ask() -> bytes:
        with socket.create_connection(("127.0.0.1", layer.port), timeout=20) as line:
            answer = b""
            with suppress(OSError):  # the answer may come before all is sent
                line.sendall(octets)
            while not answer.count(b"\r\n\r\n"):
                answer += line.recv(4_096)
            return answer

    answer = await trio.to_thread.run_sync(ask)
    return int(answer.split()[1]), answer


async def test_names_that_look_like_paths_are_names(tmp_path: Path) -> None:
    names = ["..", "a/../b", "ü/ß", "%2e", "a b?c#d", "🔋", "current", "A/current"]
    async with node(tmp_path, **{name: Pack(50, 100, 50, 50) for name in names}) as layer:
        for name in names:
            quoted = _quoted(name)
            status, told = await layer.ask(
                "POST",
                "/batteries",
                name=name,
                voltage_mv=50_000,
                capacity_mah=100_000,
                max_charge_ma=50_000,
                max_discharge_ma=50_000,
                interface=f"v1://127.0.0.1:{layer.packs.port}/{quoted}",
            )
            assert status == 200, told
            assert (await layer.get(f"/batteries/{quoted}"))["name"] == name
            await layer.do(f"/batteries/{quoted}/current", current_ma=7)
            assert await layer.told(name) == [0.007]
            assert (await layer.ask("DELETE", f"/batteries/{quoted}"))[0] == 200


def _quoted(name: str) -> str:
    return "".join(f"%{octet:02x}" for octet in name.encode())


async def test_500_commands_at_once_are_all_answered_and_each_done_once(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50), B=Pack(50, 100, 50, 50)) as layer:
        await begun(layer)
        told: dict[int, int] = {}

        async def command(number: int) -> None:
            path = SET if number % 2 else "/batteries/p/current"
            fields: dict[str, Any] = {"current_ma": number, "id": f"c{number % 400}"}
            told[number], _ = await layer.ask("POST", path, **fields)

        async with trio.open_nursery() as nursery:
            for number in range(500):
                nursery.start_soon(command, number)
        # The names of the last hundred are taken, each by one of two: whichever came first.
        taken = [sorted((told[number], told[number + 400])) for number in range(100)]
        assert taken == [[200, 409]] * 100
        assert {told[number] for number in range(100, 400)} == {200}
        counts = (await layer.get("/status"))["counts"]
        assert counts["accepted: set current"] == 400


async def test_a_topology_made_and_removed_while_commands_run(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50), B=Pack(50, 100, 50, 50)) as layer:
        for name in ("A", "B"):
            await layer.battery(name)
        statuses: list[int] = []
        over = False

        async def command(path: str) -> None:
            while not over:
                statuses.append((await layer.ask("POST", path, current_ma=100))[0])

        async with trio.open_nursery() as nursery:
            for path in ("p", "q", "AB", "A", "B"):
                nursery.start_soon(command, f"/batteries/{path}/current")
            for _ in range(15):
                await layer.do("/aggregators", name="AB", sources=["A", "B"])
                await layer.split("AB", "tranched", p=50, q=50)
                for name in ("p", "q", "AB"):
                    status, told = await layer.ask("DELETE", f"/batteries/{name}")
                    assert status == 200, told
            over = True
        assert set(statuses) <= {200, 404, 409}
        for name in ("A", "B"):
            await layer.do(f"/batteries/{name}/current", current_ma=0)
        layer.later()
        for name in ("A", "B"):
            assert (await layer.get(f"/batteries/{name}"))["current"]["current_ma"] == 0


async def test_a_month_of_energy_is_told_to_the_nanojoule(tmp_path: Path) -> None:
    """10 MW for a month are more nanojoules than fit into 64 bits."""
    async with node(tmp_path, A=Pack(10**7, 2 * 10**7, 10**4, 10**4, volts=1_000)) as layer:
        await layer.battery("A")
        await layer.split("A", "proportional", p=50, q=50)
        await layer.do("/batteries/p/discharge", current_ma=5_000_000)
        month_ms = 30 * 86_400_000
        layer.later(month_ms)
        (flow,) = await layer.get("/batteries/p/flows")
        assert flow["discharged_nj"] == 5_000_000 * month_ms * 1_000_000 > 2**64


ODD: Any = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-(2**80), 2**80),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from(["A", "B", "AB", "p", "q", ""]),
    st.lists(st.sampled_from(["A", "p", 1]), max_size=3),
)


def _requests(api: dict[str, Any]) -> Iterator[Any]:
    """Yield a strategy for each thing that the documentation of an API says can be asked."""
    schemas = api["components"]["schemas"]
    for path, methods in api["paths"].items():
        for method, operation in methods.items():
            fields: dict[str, Any] = {}
            if "requestBody" in operation:
                schema = operation["requestBody"]["content"]["application/json"]["schema"]
                fields = schemas[schema["$ref"].rsplit("/", 1)[1]]["properties"]
            asked = st.fixed_dictionaries({}, optional={name: _field(name) for name in fields})
            query = [one["name"] for one in operation.get("parameters", ()) if one["in"] == "query"]
            queries = st.fixed_dictionaries({}, optional=dict.fromkeys(query, ODD))
            yield st.tuples(st.just(method.upper()), st.just(path), _name(), queries, asked | ODD)


def _name() -> Any:
    return st.sampled_from(["A", "B", "AB", "p", "q"]) | st.text(max_size=12)


def _field(name: str) -> Any:
    if name == "partitions":
        odd = st.fixed_dictionaries({}, optional={"name": _name() | ODD, "share_ppm": ODD})
        return st.lists(odd | ODD, max_size=3)
    return ODD


async def test_nothing_that_the_documentation_allows_to_ask_breaks_it(tmp_path: Path) -> None:
    async with node(tmp_path, A=Pack(50, 100, 50, 50), B=Pack(50, 100, 50, 50)) as layer:
        await begun(layer)
        api = await layer.get("/openapi.json")
        requests = st.one_of(list(_requests(api)))

        @settings(
            max_examples=300,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
        )
        @given(requests)
        def fuzz(request: Any) -> None:
            method, path, name, queries, asked = request
            query = "&".join(f"{key}={_quoted(str(value))}" for key, value in queries.items())
            path = re.sub(r"\{name\}", _quoted(name), path) + (f"?{query}" if query else "")
            octets = b"" if method == "GET" else json.dumps(asked).encode()
            status, told = layer.ask_now(method, path, octets)
            assert status in {200, 400, 404, 405, 409, 413, 422}, (status, told)
            if status != 200:
                assert told["detail"]

        await trio.to_thread.run_sync(fuzz)
        assert (await layer.ask("GET", "/status"))[0] == 200
