"""The emulated meter as one session sees it: who is logged on, and what the tables answer.

Theory of operation. A session starts closed. Logon opens it with no clearance, Security by a
password or Authenticate raises it, Logoff and the end of the session close it. Where the network
has already proved who is asking (C12.22 without a session), ``granted`` is that clearance, and
requests need no Logon. Everything else is looked up table by table; whatever does not fit gets the
standard's own answer (`MeterSwitches` where the sources differ), and no request raises.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property, lru_cache
from typing import Any, Final

from protocols.c12.meter.clearance import PUBLIC_TABLES, Clearance, Passwords
from protocols.c12.meter.handing_over import HandedOver
from protocols.c12.meter.history import HistoryCode
from protocols.c12.meter.procedures import INITIATE, Caller, Procedures
from protocols.c12.meter.refusal import RefusedError
from protocols.c12.meter.schema import CONTROL_LOG, STATUS_LOG, schema_of
from protocols.c12.meter.settings import DEFAULT_SETTINGS, MeterSettings
from protocols.c12.meter.tables import MeterTables
from protocols.c12.meter.view import MeterView
from protocols.c12.services import (
    Authenticate,
    DefaultRead,
    Dialect,
    FullRead,
    FullWrite,
    IndexRead,
    IndexWrite,
    Logoff,
    Logon,
    LogonBody,
    OffsetRead,
    OffsetWrite,
    Request,
    Response,
    ResponseCode,
    Security,
    SizeLimitBody,
    ok,
    read_response,
)
from protocols.c12.tables.elements import element_span
from protocols.errors import CodecError, LocalProtocolError
from protocols.plugin import ConcentratorModel

OK: Final = Response(ResponseCode.OK)
DECADE_0: Final = range(10)
"""Tables that say what a meter is; they can be read whatever it is busy recording."""
SMALL: Final = 32
"""Octets of an answer that many meters may give alike: how their lists stand."""
VARIABLE_TABLES: Final = frozenset({CONTROL_LOG, STATUS_LOG})
"""Lists that are as long as they say, where no index has a fixed place."""


class Meter:
    """Meter ``number`` of a concentrator, for one session; an `Application`.

    Args:
        model: the concentrator that the meter is behind.
        number: the meter, counted within it.
        passwords: what Security accepts.
        granted: the clearance that the network vouches for; ``None``: a Logon is needed.
        dialect: of the session; only C12.22 tells sizes and silences.
        settings: what kind of meter it is.
        handed: told which readings leave. Whoever gives it tells the model in time, and says
            `look` before the requests of every message but the first.

    ``request_counter`` is the counter of the request that is handled next: what a command is
    executed under.
    """

    def __init__(
        self,
        model: ConcentratorModel,
        number: int,
        passwords: Passwords,
        *,
        granted: Clearance | None = None,
        dialect: Dialect = Dialect.C12_22,
        settings: MeterSettings = DEFAULT_SETTINGS,
        handed: HandedOver | None = None,
    ) -> None:
        schema = schema_of(model, settings)
        self.request_counter = 0
        self._view = MeterView(model, number, schema, handed)
        self._tables = MeterTables(self._view)
        self._stands_alone = handed is None
        self._schema = schema
        self._settings = settings
        self._switches = settings.switches
        self._passwords = passwords
        self._granted = granted
        self._dialect = dialect
        self._clearance: Clearance | None = None
        self._user = 0

    @property
    def clearance(self) -> Clearance | None:
        """What may be done now; ``None``: nobody is logged on."""
        if self._clearance is None or self._granted is None:
            return self._granted if self._clearance is None else self._clearance
        return max(self._clearance, self._granted)

    def session_ended(self) -> None:
        """Forget who is logged on."""
        self._clearance = None
        self._user = 0

    def handle(self, request: Request, *, now: float) -> Response:
        """Return the answer to ``request``; never raises for what it holds.

        ``now`` is the server's; what a meter records is by the model's clock.
        """
        try:
            if isinstance(request, Security):
                return self._security(request)
            if self._stands_alone:
                self.look()
            response = self._answer(request)
        except RefusedError as refused:
            return Response(refused.code)
        if self._stands_alone:
            self._view.handed.tell()
        return response

    def look(self) -> None:
        """Look at the model again."""
        self._view.look()

    @cached_property
    def _procedures(self) -> Procedures:
        return Procedures(self._tables)

    def _answer(self, request: Request) -> Response:
        match request:
            case DefaultRead() | FullRead() | IndexRead() | OffsetRead():
                return self._read(request)
            case Logon():
                return self._logon(request)
            case Authenticate():
                self._need_session()
                self._clearance = Clearance.FULL
                return OK
            case Logoff():
                self._need_session()
                self.session_ended()
                return OK
            case FullWrite() | IndexWrite() | OffsetWrite():
                return self._write(request)
        return Response(ResponseCode.SERVICE_NOT_SUPPORTED)

    def _logon(self, request: Logon) -> Response:
        if self._clearance is not None:
            raise RefusedError(self._switches.sequence_error)
        if self._view.state.busy:
            raise RefusedError(ResponseCode.DEVICE_BUSY)
        self._clearance, self._user = Clearance.NONE, request.user_id
        return ok(LogonBody(request.timeout_s))

    def _security(self, request: Security) -> Response:
        if self.clearance is None:
            raise RefusedError(self._switches.sequence_error)
        allowed = self._passwords.clearance(request.password)
        self._clearance = Clearance.NONE if allowed is None else allowed
        if allowed is None:
            raise RefusedError(self._switches.no_clearance)
        self._user = self._user if request.user_id is None else request.user_id
        return OK

    def _need_session(self) -> None:
        if self._clearance is None:
            raise RefusedError(self._switches.sequence_error)

    def _admit(self, table: int, needed: Clearance, *, writes: bool = False) -> None:
        """Refuse what may not be, in this order: no session, busy, no such table, no clearance."""
        clearance = self.clearance
        if clearance is None:
            raise RefusedError(self._switches.sequence_error)
        state = self._view.state
        if state.busy:
            raise RefusedError(ResponseCode.DEVICE_BUSY)
        if not self._schema.configuration.uses_table(table):
            raise RefusedError(self._switches.unknown_table)
        if clearance < needed:
            raise RefusedError(self._switches.no_clearance)
        if table not in DECADE_0 and not state.ready:
            raise RefusedError(ResponseCode.DATA_NOT_READY)
        if (writes or table not in DECADE_0) and state.locked:
            raise RefusedError(ResponseCode.DATA_LOCKED)

    def _read(self, request: DefaultRead | FullRead | IndexRead | OffsetRead) -> Response:
        table = self._switches.default_table if isinstance(request, DefaultRead) else request.table
        self._admit(table, Clearance.NONE if table in PUBLIC_TABLES else Clearance.READ)
        size = self._tables.lasting_size(table)
        whole = self._tables.whole(table) if size is None else b""
        size = len(whole) if size is None else size
        offset, count = self._span(request, table, size)
        if offset + count > size:
            raise RefusedError(self._switches.outside_table)
        if count > self._settings.max_read:
            return self._too_large()
        data = whole[offset : offset + count] if whole else None
        if data is None:
            data = self._tables.part(table, offset, count)
        return _small_response(data) if count <= SMALL else read_response(data)

    def _span(
        self,
        request: DefaultRead | FullRead | IndexRead | OffsetRead | IndexWrite | OffsetWrite,
        table: int,
        size: int,
    ) -> tuple[int, int]:
        """Return where what is asked for begins, and how many octets it has."""
        match request:
            case OffsetRead(offset=offset, count=count):
                return offset, count
            case OffsetWrite(offset=offset, data=data):
                return offset, len(data)
            case IndexRead(indexes=indexes, count=count):
                return self._elements(table, size)(indexes, count)
            case IndexWrite(indexes=indexes, data=data):
                return self._elements_of_length(table, size, indexes, len(data))
        return 0, size

    def _elements(self, table: int, size: int) -> Callable[[tuple[int, ...], int], tuple[int, int]]:
        if table in VARIABLE_TABLES:
            raise RefusedError(self._switches.outside_table)
        declaration = self._schema.declaration(table)
        options: dict[str, Any] = {
            "table_size": size,
            "keep_absent": self._schema.configuration.options.absent_elements_keep_their_index,
        }

        def span(indexes: tuple[int, ...], count: int) -> tuple[int, int]:
            try:
                return element_span(declaration, indexes, count, **options)
            except LocalProtocolError as exc:
                raise RefusedError(self._switches.outside_table) from exc

        return span

    def _elements_of_length(
        self, table: int, size: int, indexes: tuple[int, ...], length: int
    ) -> tuple[int, int]:
        """Return the span of as many elements as ``length`` octets fill; a write has no count."""
        span_of = self._elements(table, size)
        for count in range(1, length + 1):
            offset, octets = span_of(indexes, count)
            if octets >= length:
                break
        else:
            raise RefusedError(self._switches.outside_table)
        if octets != length:
            raise RefusedError(self._switches.outside_table)
        return offset, length

    def _write(self, request: FullWrite | IndexWrite | OffsetWrite) -> Response:
        table = request.table
        needed = Clearance.READ if table == INITIATE else Clearance.FULL
        self._admit(table, needed, writes=True)
        if not self._schema.configuration.may_write_table(table):
            raise RefusedError(self._switches.read_only_table)
        if table == INITIATE:
            self._initiate(request)
            return OK
        data = self._merged(request)
        state = self._view.state
        state.written[table] = data
        self._tables.history.add(
            HistoryCode.TABLE_WRITTEN, table, at_s=self._view.clock_s(), user=self._user
        )
        return OK

    def _initiate(self, request: FullWrite | IndexWrite | OffsetWrite) -> None:
        """Run a procedure: ST7 is written whole, or from its first octet on."""
        beginning = isinstance(request, OffsetWrite) and not request.offset
        if not beginning and not isinstance(request, FullWrite):
            raise RefusedError(self._switches.outside_table)
        clearance = self.clearance or Clearance.NONE
        caller = Caller(self._user, clearance, self.request_counter)
        try:
            self._procedures.initiate(request.data, caller)
        except CodecError as exc:
            raise RefusedError(self._switches.outside_table) from exc

    def _merged(self, request: FullWrite | IndexWrite | OffsetWrite) -> bytes:
        """Return the table as it will be. Raises `RefusedError`."""
        before = self._tables.whole(request.table)
        if isinstance(request, FullWrite):
            offset, count = 0, len(request.data)
            fits = count == len(before)
        else:
            offset, count = self._span(request, request.table, len(before))
            fits = offset + count <= len(before)
        if not fits:
            raise RefusedError(self._switches.outside_table)
        return before[:offset] + request.data + before[offset + count :]

    def _too_large(self) -> Response:
        if self._dialect is not Dialect.C12_22:
            return Response(ResponseCode.OPERATION_NOT_POSSIBLE)
        limit = SizeLimitBody(self._settings.max_read)
        return Response(ResponseCode.RESPONSE_TOO_LARGE, limit.encode())


_small_response: Final = lru_cache(1024)(read_response)
