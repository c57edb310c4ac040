"""One APDU kind: its dataclass, its declaration, and the fast path where it is hot."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from typing import Any, Final

from construct import Const, ConstructError, Struct

from protocols.errors import CodecError

CODEC: Final = "xDLMS"


@dataclass(frozen=True, slots=True)
class Layout:
    """How one kind of APDU looks on the wire.

    ``leading`` are the octets that choose it (tag, and number of the choice where there is one);
    ``declaration`` is the whole APDU in construct; ``decode`` and ``encode`` run it and raise
    `CodecError`. `protocols.dlms.apdu.fast` has a quicker way for the hot ones.
    """

    kind: type[Any]
    leading: bytes
    declaration: Any
    decode: Callable[[bytes], Any]
    encode: Callable[[Any], bytes]


def layout(
    kind: type[Any],
    leading: bytes,
    *fields: Any,  # noqa: ANN401 - construct's edge
) -> Layout:
    """Declare an APDU: ``leading`` octets, then ``fields`` named as in the dataclass."""
    declaration: Any = Struct("leading" / Const(leading), *fields)
    names = tuple(field.name for field in fields if field.name is not None)
    return Layout(
        kind,
        leading,
        declaration,
        _decoder(kind, declaration, names),
        _encoder(declaration, names),
    )


def _decoder(
    kind: type[Any],
    declaration: Any,  # noqa: ANN401 - construct's edge
    names: tuple[str, ...],
) -> Callable[[bytes], Any]:
    def decode(buffer: bytes) -> Any:  # noqa: ANN401 - one of the dataclasses
        try:
            stream = BytesIO(buffer)
            parsed = declaration.parse_stream(stream)
        except ConstructError as exc:
            raise _codec_error(exc) from exc
        trailing = len(buffer) - stream.tell()
        if trailing:
            raise CodecError(f"{trailing} trailing octets", codec=CODEC, path=kind.__name__)
        return kind(**{name: parsed[name] for name in names})

    return decode


def _encoder(
    declaration: Any,  # noqa: ANN401 - construct's edge
    names: tuple[str, ...],
) -> Callable[[Any], bytes]:
    def encode(apdu: Any) -> bytes:  # noqa: ANN401 - one of the dataclasses
        try:
            built: bytes = declaration.build({name: getattr(apdu, name) for name in names})
        except ConstructError as exc:
            raise _codec_error(exc) from exc
        return built

    return encode


def _codec_error(exc: ConstructError) -> CodecError:
    """Return construct's complaint as ours: ``items[2].attribute.class_id``."""
    message = str(exc).splitlines()[-1]
    _, _, path = (exc.path or "").partition(" -> ")
    return CodecError(message, codec=CODEC, path=path.replace(" -> ", "."))
