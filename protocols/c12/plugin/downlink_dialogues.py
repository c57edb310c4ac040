"""What a head-end has to say to a meter, as dialogues: requests out, responses in, a result.

A dialogue is a generator that yields the requests of one message, is sent the responses, and
returns what came of it. It knows neither titles nor time. `RefusedByMeter` ends it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from functools import partial
from typing import Final, TypeAlias, TypeVar

from protocols.c12.meter import (
    CONTROL_LOG,
    DirectBlocks,
    DirectFetch,
    MeterAnswer,
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
LACKING: Final = frozenset(
    {
        ResponseCode.SERVICE_NOT_SUPPORTED,
        ResponseCode.OPERATION_NOT_POSSIBLE,
        ResponseCode.INAPPROPRIATE_ACTION_REQUESTED,
        ResponseCode.REQUEST_TOO_LARGE,
        ResponseCode.RESPONSE_TOO_LARGE,
    }
)
"""How a meter says that it does not have what was asked for, or not so much of it at once."""
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
            responses = yield part
            for request, response in zip(part, responses, strict=True):
                lacks = response.code in LACKING and fetch.may_lack(request)
                data.append(b"" if lacks else _data(response))
        fetch.answered(data)
    return fetch.result(concentrator)


def reading_at_once(
    fetch: DirectFetch, name: bytes, otherwise: Callable[[], Dialogue[ReadingBatch]]
) -> Dialogue[DirectBlocks | ReadingBatch]:
    """Fetch captures and events of the meter ``name``, in one message where it fits the meter.

    Raises `CodecError` for answers that are none.
    """
    try:
        responses = yield fetch.requests
        answer = MeterAnswer(fetch, name, [_data(response) for response in responses])
    except RefusedByMeter as refused:
        if refused.code not in LACKING:
            raise
        return (yield from otherwise())
    if not answer.fits:
        return (yield from otherwise())
    requests = answer.entry_requests(PART_SIZE)
    if requests:
        responses = yield tuple(requests)
        answer.take_entries([_data(response) for response in responses])
    return answer.result()


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
    go_on: Callable[[], tuple[Request, ...]] = partial(next, inner)
    while True:
        try:
            requests = go_on()
        except StopIteration as stopped:
            result: T = stopped.value
            return result
        try:
            security, *others = yield (Security(password, USER_ID), *requests)
            _require_ok(security)
        except RefusedByMeter as refused:
            go_on = partial(inner.throw, refused)
        else:
            go_on = partial(inner.send, tuple(others))


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
