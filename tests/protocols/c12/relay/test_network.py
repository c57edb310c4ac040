"""Register, Resolve and Trace, and where a relay sends what."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from protocols.c12.native_address import TransportMode, allowed_modes
from protocols.c12.relay import (
    Place,
    Router,
    answer_resolve,
    answer_trace,
    grant,
    registration_of,
)
from protocols.c12.relay.network import TRACED_MAX
from protocols.c12.services import (
    Dialect,
    Resolve,
    ResolveBody,
    ResponseCode,
    Trace,
    TraceBody,
    decode_request,
    encode_request,
)
from protocols.c12.titles import ApTitle, head_end_title, meter_title, relay_title

RELAY = relay_title(4)
METERS = {meter_title(number): number - 100 for number in range(100, 110)}


@pytest.mark.parametrize(("is_relay", "node_type"), [(True, 0x01), (False, 0x20)])
def test_a_registration_says_what_a_node_is(is_relay: bool, node_type: int) -> None:
    title = meter_title(5).encode()
    request = registration_of(title, is_relay=is_relay, device_class=b"MST0", period_s=60)
    assert request.node_type == node_type
    assert allowed_modes(request.connection_type) == (
        TransportMode.OPENS_CONNECTIONS | TransportMode.LISTENS
    )
    assert request.connection_type & 0x04
    assert decode_request(encode_request(request, Dialect.C12_22), Dialect.C12_22) == request


def test_a_period_fits_its_field() -> None:
    request = registration_of(b"", is_relay=False, device_class=b"", period_s=1 << 30)
    assert request.period_s == 0xFF_FFFF


@pytest.mark.parametrize(("asked", "longest", "granted"), [(10, 60, 10), (99, 60, 60), (0, 60, 60)])
def test_what_is_granted(asked: int, longest: int, granted: int) -> None:
    request = registration_of(b"\x80\x00", is_relay=False, device_class=b"", period_s=asked)
    assert grant(request, longest).period_s == granted


def test_a_known_title_is_resolved() -> None:
    known = {meter_title(1): b"\x7f\0\0\1"}
    answer = answer_resolve(Resolve(meter_title(1).encode()), known.get)
    assert ResolveBody.decode(answer.body).address == b"\x7f\0\0\1"
    assert answer_resolve(Resolve(meter_title(2).encode()), known.get).code is (
        ResponseCode.UNKNOWN_APPLICATION_TITLE
    )
    assert answer_resolve(Resolve(b"\x80\x01\x80"), known.get).code is (
        ResponseCode.INAPPROPRIATE_ACTION_REQUESTED
    )


def test_a_trace_grows_by_the_own_title_and_is_bounded() -> None:
    way: tuple[bytes, ...] = ()
    own = RELAY.encode()
    for hops in range(1, TRACED_MAX + 1):
        way = TraceBody.decode(answer_trace(Trace(way), own).body).titles
        assert way == (own,) * hops
    assert answer_trace(Trace(way), own).code is ResponseCode.REQUEST_TOO_LARGE


@pytest.mark.parametrize("base", [None, ApTitle.parse("2.16.840.1.7")])
@given(number=st.integers(0, 9), absolute=st.booleans())
def test_a_relay_routes_to_its_nodes(base: ApTitle | None, number: int, absolute: bool) -> None:
    router = Router(RELAY, METERS, base)
    title = meter_title(100 + number)
    assert router.route(title.absolute(base) if absolute else title) == number
    assert router.route(RELAY.absolute(base) if absolute else RELAY) is Place.HERE


@pytest.mark.parametrize("title", [meter_title(99), head_end_title(0), relay_title(5)])
def test_what_is_not_below_goes_up(title: ApTitle) -> None:
    assert Router(RELAY, METERS).route(title) is Place.ELSEWHERE


def test_without_a_title_it_is_here() -> None:
    assert Router(RELAY, METERS).route(None) is Place.HERE
