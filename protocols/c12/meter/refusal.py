"""How what is inside a meter says no: with the answer to give."""

from __future__ import annotations

from protocols.c12.services import ResponseCode


class RefusedError(Exception):
    """A request that gets ``code`` for an answer. Never leaves the meter."""

    def __init__(self, code: ResponseCode) -> None:
        super().__init__(code.abbreviation)
        self.code = code
