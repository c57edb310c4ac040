"""How the codecs of this package say what is wrong and where."""

from __future__ import annotations

from typing import Final, NoReturn

from protocols.errors import CodecError

CODEC: Final = "A-XDR"


class Problem(Exception):
    """Bytes and values do not match; containers add their step to ``steps`` on the way out.

    Paths are built only when something went wrong, so that good data pays nothing for them.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message
        self.steps: list[str] = []

    def inside(self, step: str) -> Problem:
        """Return the problem, seen from the container that ``step`` is in."""
        self.steps.append(step)
        return self

    def raise_codec_error(self) -> NoReturn:
        """Raise the `CodecError` that callers see."""
        path = ".".join(reversed(self.steps))
        raise CodecError(self.message, codec=CODEC, path=path) from self
