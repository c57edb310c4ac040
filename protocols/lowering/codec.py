"""A declaration that runs: generated code first, the interpreter for everything it refuses."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias

from construct import ConstructError

from protocols.errors import CodecError
from protocols.lowering.generate import Refused, generate
from protocols.lowering.plan import Declaration, NotLowerable, plan

Kind: TypeAlias = Literal["struct", "compiled", "interpreted"]
# Whatever the declaration says: construct's edge, where types end.
Values: TypeAlias = Any
Parse: TypeAlias = Callable[[bytes, int], tuple[Values, int]]
Build: TypeAlias = Callable[[Values], bytes]

# What bytes or values that do not fit raise, from the generated code, compiled code or construct.
_MISFITS: Final = (
    ConstructError,
    Refused,
    struct.error,
    ArithmeticError,
    AttributeError,
    LookupError,
    NameError,
    RecursionError,
    StopIteration,
    TypeError,
    ValueError,
)


@dataclass(frozen=True, slots=True)
class Codec:
    """Parses and builds one wire format.

    ``kind`` says what runs: ``struct`` (generated code both ways), ``compiled`` (construct's
    compiled parser; building is interpreted, because compiled building checks neither lengths nor
    counts) or ``interpreted``. ``source`` is the generated code, empty when interpreted.
    """

    declaration: Declaration
    name: str
    kind: Kind
    source: str
    fast_parse: Parse | None
    fast_build: Build | None

    def parse(self, data: bytes, offset: int = 0) -> Values:
        """Return the value at ``offset``; what follows it is ignored. Raises `CodecError`."""
        return self.parse_from(data, offset)[0]

    def parse_from(self, data: bytes, offset: int = 0) -> tuple[Values, int]:
        """Return the value at ``offset`` and the offset after it. Raises `CodecError`."""
        octets = bytes(data)
        if self.fast_parse is not None:
            try:
                return self.fast_parse(octets, offset)
            except _MISFITS:
                pass
        return self._interpret(octets, offset)

    def build(self, values: Values) -> bytes:
        """Return ``values`` as octets. Raises `CodecError`."""
        if self.fast_build is not None:
            try:
                return self.fast_build(values)
            except _MISFITS:
                pass
        try:
            return self.declaration.build(values)
        except _MISFITS as exc:
            raise _codec_error(exc, self.name) from exc

    def _interpret(self, data: bytes, offset: int) -> tuple[Values, int]:
        stream = io.BytesIO(data)
        stream.seek(offset)
        try:
            value = self.declaration.parse_stream(stream)
        except _MISFITS as exc:
            raise _codec_error(exc, self.name) from exc
        return plain(value), stream.tell()


def lower(declaration: Declaration, name: str = "") -> Codec:
    """Return the fastest codec that ``declaration`` allows; ``name`` goes into its errors."""
    name = name or declaration.name or type(declaration).__name__
    try:
        code = generate(plan(declaration))
    except NotLowerable:
        return _compile(declaration, name)
    return Codec(declaration, name, "struct", code.source, code.parse, code.build)


def plain(value: Values) -> Values:
    """Return a construct value with plain dicts and lists, and without construct's own entries."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items() if not str(key).startswith("_")}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def _compile(declaration: Declaration, name: str) -> Codec:
    try:
        compiled: Any = declaration.compile()
    except (NotImplementedError, SyntaxError, *_MISFITS):
        # construct cannot compile LazyBound, adapters, lambdas: the interpreter can run them all.
        return Codec(declaration, name, "interpreted", "", None, None)

    def parse(data: bytes, offset: int) -> tuple[Values, int]:
        stream = _ExactReader(data)
        stream.seek(offset)
        return plain(compiled.parse_stream(stream)), stream.tell()

    return Codec(declaration, name, "compiled", compiled.source, parse, None)


class _ExactReader(io.BytesIO):
    """Ends in an error where compiled code would silently take fewer octets than it asked for."""

    def read(self, size: int | None = -1, /) -> bytes:
        data = super().read(size)
        if size is not None and len(data) < size:
            raise Refused
        return data


def _codec_error(exc: Exception, name: str) -> CodecError:
    path = getattr(exc, "path", None) or ""
    fields = path.split(" -> ")[1:]
    message = str(exc).splitlines()[-1] if str(exc) else type(exc).__name__
    if isinstance(exc, LookupError):
        message = f"missing {message}"
    return CodecError(message, codec=name, path=".".join(fields))
