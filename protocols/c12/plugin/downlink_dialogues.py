"""What a head-end has to say to a meter, as dialogues: requests out, responses in, a result.

A dialogue is a generator that yields the requests of one message, is sent the responses, and
returns what came of it. It knows neither titles nor time. `RefusedByMeter` ends it.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from typing import Final, TypeAlias, TypeVar

from protocols.c12.meter import (
    CONTROL_LOG,
    MeterFetch,
    MeterSchema,
    decode_control_log,
    decode_outcome,
)
from protocols.c12.services import (
    FullRead,
    FullWrite,
    Logoff,
    Logon,
    OffsetRead,
    ReadBody,
    Request,
    Response,
    ResponseCode,
    Security,
    Terminate,
)
from protocols.c12.tables.procedures import ProcedureResult
from protocols.errors import CodecError, RemoteProtocolError
from protocols.plugin import Execution
from protocols.readings import ReadingBatch

T = TypeVar("T")
Dialogue: TypeAlias = Generator[tuple[Request, ...], tuple[Response, ...], T]

INITIATE: Final = 7
RESPONSE: Final = 8
PART_SIZE: Final = 16_384
"""Octets of tables that one message asks for: its answer must fit one APDU, segmented or not."""
SMALL_TABLE: Final = 512
"""What a table that is read whole is taken to have."""
USER_ID: Final = 1
USER: Final = b"METERSTORM"
SESSION_S: Final = 60
"""Seconds of silence that end a session."""
LOGON: Final = Logon(USER_ID, USER, SESSION_S)


class RefusedByMeter(Exception):
    """A meter answered a request with ``code``."""

    def __init__(self, code: ResponseCode) -> None:
        super().__init__(code.name.lower().replace("_", " "))
        self.code = code


def reading(fetch: MeterFetch, concentrator: bytes) -> Dialogue[ReadingBatch]:
    """Fetch captures and events. Raises `CodecError` for answers that are none."""
    while requests := fetch.requests():
        data: list[bytes] = []
        for part in _parts(requests):
            data += [_data(response) for response in (yield part)]
        fetch.answered(data)
    return fetch.result(concentrator)


def control_log(schema: MeterSchema) -> Dialogue[tuple[Execution, ...]]:
    """Read a meter's control log. Raises `CodecError`."""
    (response,) = yield (FullRead(CONTROL_LOG),)
    return decode_control_log(schema, _data(response))


def commanding(schema: MeterSchema, procedure: bytes) -> Dialogue[ProcedureResult]:
    """Write ``procedure`` to ST7 and read ST8, in one message. Raises `CodecError`."""
    written, read = yield (FullWrite(INITIATE, procedure), FullRead(RESPONSE))
    _require_ok(written)
    result = decode_outcome(schema, procedure, _data(read))
    if result is None:
        raise RemoteProtocolError("table 8 is about another procedure")
    return result


def sessionless(inner: Dialogue[T], password: bytes | None) -> Dialogue[T]:
    """Put the password before the requests of every message; ``None``: there is none."""
    if password is None:
        return (yield from inner)
    responses: tuple[Response, ...] | None = None
    while True:
        try:
            requests = next(inner) if responses is None else inner.send(responses)
        except StopIteration as stopped:
            result: T = stopped.value
            return result
        security, *others = yield (Security(password, USER_ID), *requests)
        _require_ok(security)
        responses = tuple(others)


def in_session(inner: Dialogue[T], password: bytes | None, *, resumes: bool = True) -> Dialogue[T]:
    """Log on before, and off after, whatever the end.

    A session that a lost answer has left open is ended first; not so if ``resumes`` is false,
    where nothing but the first message may log on.
    """
    (logon,) = yield (LOGON,)
    if resumes and logon.code is ResponseCode.INVALID_SERVICE_SEQUENCE_STATE:
        yield (Terminate(),)
        (logon,) = yield (LOGON,)
    _require_ok(logon)
    try:
        if password is not None:
            (security,) = yield (Security(password),)
            _require_ok(security)
        result = yield from inner
    except (RefusedByMeter, CodecError, RemoteProtocolError):
        yield (Logoff(),)
        raise
    yield (Logoff(),)
    return result


def _data(response: Response) -> bytes:
    _require_ok(response)
    return ReadBody.decode(response.body).data


def _require_ok(response: Response) -> None:
    if response.code is not ResponseCode.OK:
        raise RefusedByMeter(response.code)


def _parts(requests: Sequence[Request]) -> Iterator[tuple[Request, ...]]:
    """Split what one answer could not hold."""
    part: list[Request] = []
    size = 0
    for request in requests:
        octets = request.count if isinstance(request, OffsetRead) else SMALL_TABLE
        if part and size + octets > PART_SIZE:
            yield tuple(part)
            part, size = [], 0
        part.append(request)
        size += octets
    if part:
        yield tuple(part)
