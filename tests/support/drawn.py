"""What link models draw while a test runs, by whom it was drawn for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TypeAlias

import pytest

from netem.model import Direction, Handshake, LinkModel, Transfer

Drawn: TypeAlias = dict[tuple[int, int, int, str], list[int]]
"""Nanoseconds from handing over to arrival, by concentrator, exchange, attempt and what."""


@contextmanager
def drawn_delays(monkeypatch: pytest.MonkeyPatch) -> Iterator[Drawn]:
    """Note every handshake and every transfer, either way, that a link model works out."""
    drawn: Drawn = {}
    exchanges: dict[LinkModel, tuple[int, int, int]] = {}

    def note(model: LinkModel, what: str, now_ns: int, times_ns: Sequence[int]) -> None:
        drawn.setdefault((*exchanges[model], what), []).extend(at - now_ns for at in times_ns)

    begin, connect, transfer = LinkModel.begin_exchange, LinkModel.connect, LinkModel.transfer

    def begin_exchange(self: LinkModel, number: int, attempt: int) -> None:
        exchanges[self] = (self._identity.concentrator, number, attempt)
        begin(self, number, attempt)

    def connecting(self: LinkModel, now_ns: int, opener: Direction = "up") -> Handshake:
        handshake = connect(self, now_ns, opener)
        note(self, "handshake", now_ns, [handshake.reached_ns, handshake.established_ns])
        return handshake

    def transferring(self: LinkModel, direction: Direction, now_ns: int, octets: int) -> Transfer:
        moved = transfer(self, direction, now_ns, octets)
        if octets:
            note(self, f"{octets} octets {direction}", now_ns, [at for at, _ in moved.releases])
        return moved

    with monkeypatch.context() as patch:
        patch.setattr(LinkModel, "begin_exchange", begin_exchange)
        patch.setattr(LinkModel, "connect", connecting)
        patch.setattr(LinkModel, "transfer", transferring)
        yield drawn
