"""What procedures do, and what table 8 says of them."""

from __future__ import annotations

from typing import Any, Final

import pytest

from protocols.c12.meter import (
    CONTROL_LOG,
    Clearance,
    Meter,
    Passwords,
    command_procedure,
    decode_control_log,
    decode_outcome,
)
from protocols.c12.services import FullRead, FullWrite, ReadBody, ResponseCode
from protocols.c12.tables.load_profile import decode_status
from protocols.c12.tables.logs import decode_log
from protocols.c12.tables.procedures import ProcedureResult
from protocols.errors import CodecError
from protocols.plugin import Command, CommandKind, Execution, MeterMode
from tests.support.c12_meter_model import AnsiConcentrator, granted, logged, schema_of
from tests.support.concentrator_model import FIRST_S, STEP_S

COMMANDS: Final = [
    Command(CommandKind.DISCONNECT),
    Command(CommandKind.RECONNECT),
    Command(CommandKind.SEGMENT, 3 << 1),
    Command(CommandKind.SEGMENT, 8 << 1 | 1),
    Command(CommandKind.TARIFF, 2),
    Command(CommandKind.TIME, 1_700_000_000),
]


def run(meter: Meter, procedure: int, parameters: str = "", selector: int = 0) -> bytes:
    """Run a procedure; return what table 8 says behind the sequence number."""
    manufacturer = procedure >= 2048
    word = procedure % 2048 | manufacturer << 11 | selector << 12
    request = word.to_bytes(2, "little") + b"\x2a" + bytes.fromhex(parameters)
    assert meter.handle(FullWrite(7, request), now=0.0).code is ResponseCode.OK
    answer = table(meter, 8)
    assert answer[:3] == request[:3]
    return answer[3:]


def table(meter: Meter, number: int) -> bytes:
    response = meter.handle(FullRead(number), now=0.0)
    assert response.code is ResponseCode.OK
    return ReadBody.decode(response.body).data


def values(model: AnsiConcentrator, meter: Meter, number: int) -> dict[str, Any]:
    return schema_of(model).decode(number, table(meter, number))


DONE, ACCEPTED, INVALID, CONFLICT, TIMING, NO_AUTHORIZATION, UNRECOGNIZED = (
    bytes([result]) for result in ProcedureResult
)


class TestCommands:
    """Commands of a head-end go to the model, once, under the counter of the request."""

    @pytest.mark.parametrize("command", COMMANDS, ids=str)
    def test_a_command_is_executed_under_its_requests_counter(self, command: Command) -> None:
        model = AnsiConcentrator()
        schema, meter = schema_of(model), granted(model, 1)
        meter.request_counter = 1_700_000_123
        initiated = command_procedure(schema, command, sequence=9)
        assert meter.handle(FullWrite(7, initiated), now=0.0).code is ResponseCode.OK
        assert [(number, one.command, one.counter) for number, one in model.executed] == [
            (1, command, 1_700_000_123)
        ]
        outcome = decode_outcome(schema, initiated, table(meter, 8))
        assert outcome is ProcedureResult.COMPLETED

    def test_the_control_log_tells_all_of_them(self) -> None:
        model = AnsiConcentrator()
        schema, meter = schema_of(model), granted(model, 1)
        for counter, command in enumerate(COMMANDS, 100):
            meter.request_counter = counter
            meter.handle(FullWrite(7, command_procedure(schema, command, 1)), now=0.0)
        granted(model, 2).handle(FullWrite(7, command_procedure(schema, COMMANDS[0], 1)), now=0.0)
        log = decode_control_log(schema, table(meter, CONTROL_LOG))
        assert log == tuple(model.control_log(1))
        assert log[4] == Execution(COMMANDS[4], int(model.now_s), 104)

    def test_switches_and_rates_follow(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        assert run(meter, 21, "00 00") == DONE
        assert not model.is_connected(1, 0)
        assert run(meter, 21, "00 64") == DONE
        assert model.is_connected(1, 0)
        assert run(meter, 2050, "02 00") == DONE
        assert not model.is_connected(1, 2)
        assert run(meter, 2049, "02") == DONE
        assert model.active_rate(1) == 2

    @pytest.mark.parametrize(
        ("procedure", "parameters"),
        [
            (21, ""), (21, "00"), (21, "00 01"), (21, "09 64"), (21, "000064"),
            (2049, ""), (2049, "00"), (2049, "03"), (2049, "0101"),
            (2050, "00 01"), (2050, "01 02"), (2050, "09 01"), (2050, "01"),
        ],
    )  # fmt: skip
    def test_parameters_that_make_no_sense(self, procedure: int, parameters: str) -> None:
        model = AnsiConcentrator()
        assert run(granted(model, 1), procedure, parameters) == INVALID
        assert not model.executed

    def test_what_the_model_refuses_is_a_conflict(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(AnsiConcentrator, "execute", lambda *_: False)
        meter = granted(AnsiConcentrator(), 1)
        for procedure, parameters in ((21, "0000"), (2049, "01"), (10, "03 00f15365 17")):
            assert run(meter, procedure, parameters) == CONFLICT

    def test_a_parameter_that_does_not_fit_is_told(self) -> None:
        schema = schema_of(AnsiConcentrator())
        for command in (Command(CommandKind.TARIFF, 256), Command(CommandKind.TIME, 1 << 32)):
            with pytest.raises(CodecError):
                command_procedure(schema, command, 1)

    def test_an_answer_to_somebody_else_is_none(self) -> None:
        model = AnsiConcentrator()
        schema, meter = schema_of(model), granted(model, 1)
        mine = command_procedure(schema, COMMANDS[0], sequence=1)
        meter.handle(FullWrite(7, command_procedure(schema, COMMANDS[0], sequence=2)), now=0.0)
        assert decode_outcome(schema, mine, table(meter, 8)) is None


class TestClock:
    """Procedure 10."""

    @pytest.mark.parametrize(
        ("mask", "after"),
        [
            # 2023-11-16 22:13:20 is told to a meter at 2023-11-15 00:00:30.
            ("03", 1_700_172_800),
            ("01", 1_700_006_400 + 79_983 + 17),
            ("02", 1_700_092_800 + 30),
        ],
    )
    def test_date_and_time_are_set_together_or_apart(self, mask: str, after: int) -> None:
        model = AnsiConcentrator(now_s=1_700_006_430.0)
        meter = granted(model, 1)
        told = 1_700_172_800
        before = (1_700_006_430).to_bytes(4, "little")
        answer = run(meter, 10, f"{mask} {told.to_bytes(4, 'little').hex()} 17")
        assert answer == DONE + before + after.to_bytes(4, "little")
        assert values(model, meter, 52)["clock"] == after

    def test_the_qualifier_alone_changes_nothing(self) -> None:
        model = AnsiConcentrator()
        assert run(granted(model, 1), 10, "04 00000000 17")[:1] == DONE
        assert not model.executed

    def test_a_clock_that_runs_over_its_32_bits_begins_anew(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        assert run(meter, 10, "03 ffffffff 17")[:1] == DONE
        model.now_s += 5
        assert values(model, meter, 52)["clock"] == 4

    def test_so_does_the_time_in_the_control_log(self) -> None:
        model = AnsiConcentrator(now_s=(1 << 32) + 7.0)
        meter = granted(model, 1)
        assert run(meter, 21, "0000") == DONE
        log = decode_control_log(schema_of(model), table(meter, CONTROL_LOG))
        assert [one.at_s for one in log] == [7]

    def test_a_date_whose_time_of_day_is_beyond_32_bits_is_invalid(self) -> None:
        model = AnsiConcentrator(now_s=86_399.0)
        assert run(granted(model, 1), 10, "02 ffffffff 17") == INVALID
        assert not model.executed

    @pytest.mark.parametrize("parameters", ["", "00 00000000 17", "03 0000 17"])
    def test_nothing_to_set_is_invalid(self, parameters: str) -> None:
        assert run(granted(AnsiConcentrator(), 1), 10, parameters) == INVALID


class TestResets:
    """Procedures 3, 4, 5 and 9."""

    def test_a_demand_reset_keeps_the_registers_and_begins_new_maxima(self) -> None:
        model = AnsiConcentrator(intervals=8)
        meter = granted(model, 1)
        before = values(model, meter, 23)
        assert run(meter, 9, "01") == DONE + b"\x01"
        kept = values(model, meter, 25)
        assert kept["registers"] == before
        assert kept["information"]["end_time"] == int(model.now_s)
        after = values(model, meter, 23)
        assert after["demand_resets"] == 1
        assert after["total"]["demands"] == [{"times": [0], "values": [0]}]
        assert after["total"]["summations"] == before["total"]["summations"]

    def test_demands_after_a_reset_count_again(self) -> None:
        model = AnsiConcentrator(intervals=8)
        meter = granted(model, 1)
        run(meter, 9, "01")
        model.intervals, model.now_s = 9, FIRST_S + 8 * STEP_S + 30.0
        demand = values(model, meter, 23)["total"]["demands"][0]
        assert demand["times"] == [FIRST_S + 8 * STEP_S]
        assert demand["values"][0] > 0
        assert run(meter, 9, "01") == DONE + b"\x01"
        assert values(model, meter, 23)["demand_resets"] == 2

    def test_demands_are_reset_once_an_interval(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        assert run(meter, 9, "01")[:1] == DONE
        assert run(meter, 9, "01") == TIMING
        model.now_s += STEP_S
        assert run(meter, 9, "01")[:1] == DONE

    @pytest.mark.parametrize(("actions", "result"), [("00", INVALID), ("02", CONFLICT)])
    def test_there_are_no_self_reads(self, actions: str, result: bytes) -> None:
        assert run(granted(AnsiConcentrator(), 1), 9, actions) == result

    def test_reading_is_acknowledged_list_by_list(self) -> None:
        model = AnsiConcentrator(raised=[logged(1, 2, 1, 1), logged(1, 3, 2, 2)])
        meter = granted(model, 1)
        assert run(meter, 5, "03 0500") == DONE
        assert run(meter, 5, "01 0200") == DONE
        assert lists(model, meter) == {"profile": (8, 3), "events": (2, 0)}
        model.intervals = 10
        model.raised.append(logged(1, 9, 1, 3))
        assert lists(model, meter) == {"profile": (10, 5), "events": (3, 1)}

    @pytest.mark.parametrize("parameters", ["03 0900", "01 0100", "02 0000", "03", "07 0100"])
    def test_nobody_has_read_what_is_not_there(self, parameters: str) -> None:
        assert run(granted(AnsiConcentrator(), 1), 5, parameters) == INVALID

    def test_the_history_can_be_acknowledged_too(self) -> None:
        model = AnsiConcentrator()
        schema, meter = schema_of(model), granted(model, 1)
        meter.handle(FullWrite(5, bytes(20)), now=0.0)
        assert run(meter, 5, "07 0100") == DONE
        history = decode_log(74, table(meter, 74), schema.configuration, schema.dimensions)
        assert (len(history.entries), history.unread) == (1, 0)

    def test_a_list_that_was_reset_begins_anew_and_counts_on(self) -> None:
        model = AnsiConcentrator(raised=[logged(1, 2, 1, 1)])
        meter = granted(model, 1)
        newest = decode_status(table(meter, 63), schema_of(model).configuration)[1]
        assert run(meter, 4, "ff") == DONE
        assert lists(model, meter) == {"profile": (0, 0), "events": (0, 0)}
        emptied = decode_status(table(meter, 63), schema_of(model).configuration)[1]
        assert emptied.valid_intervals == 0
        model.intervals = 9
        assert lists(model, meter) == {"profile": (1, 1), "events": (0, 0)}
        status = decode_status(table(meter, 63), schema_of(model).configuration)[1]
        assert status.last_block_sequence == newest.last_block_sequence + 1

    @pytest.mark.parametrize("number", ["00", "02", "08"])
    def test_a_list_that_is_not_there(self, number: str) -> None:
        assert run(granted(AnsiConcentrator(), 1), 4, number) == INVALID

    def test_data_is_not_cleared_while_the_meter_meters(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        assert run(meter, 3) == CONFLICT
        assert run(meter, 6, "02") == DONE
        assert run(meter, 3) == DONE
        assert lists(model, meter)["profile"] == (0, 0)
        assert values(model, meter, 23)["total"]["summations"][0] > 0


class TestModesAndStatus:
    """Procedures 0, 1, 6 and 7."""

    def test_test_mode_shows_wherever_the_mode_does(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        assert run(meter, 6, "02") == DONE
        assert model.meter_state(1).mode is MeterMode.TEST
        assert model.meter_state(1).told_mode
        assert values(model, meter, 3)["mode"]["test"]
        assert values(model, meter, 63)["set_1"]["flags"]["test_mode"]
        assert run(meter, 6, "01") == DONE
        assert not model.meter_state(1).told_mode
        schema = schema_of(model)
        history = decode_log(74, table(meter, 74), schema.configuration, schema.dimensions)
        assert [one.code for one in history.entries] == [32, 9, 33, 9]

    @pytest.mark.parametrize("mode", ["00", "03", "10", ""])
    def test_a_mode_that_is_none(self, mode: str) -> None:
        assert run(granted(AnsiConcentrator(), 1), 6, mode) == INVALID

    def test_status_flags_show_and_are_cleared(self) -> None:
        model = AnsiConcentrator()
        model.meter_state(1).status_bits = 1 << 12 | 1 << 15 | 1 << 17
        meter = granted(model, 1)
        assert table(meter, 3) == bytes.fromhex("01 0090 02 00")
        assert run(meter, 7) == DONE
        assert table(meter, 3) == bytes.fromhex("01 0000 00 00")

    def test_a_warm_start_keeps_what_was_written_and_a_cold_one_does_not(self) -> None:
        model = AnsiConcentrator()
        meter = granted(model, 1)
        meter.handle(FullWrite(5, b"X" * 20), now=0.0)
        run(meter, 6, "02")
        assert run(meter, 1) == ACCEPTED
        assert model.meter_state(1).mode is MeterMode.METERING
        assert not model.meter_state(1).told_mode
        assert table(meter, 5) == b"X" * 20
        assert run(meter, 0) == ACCEPTED
        assert table(meter, 5).startswith(b"MST")


class TestAnswers:
    """What table 8 says, and when."""

    @pytest.mark.parametrize("procedure", [2, 8, 11, 32, 2047, 2048, 4095])
    def test_a_procedure_that_is_not_there(self, procedure: int) -> None:
        assert run(granted(AnsiConcentrator(), 1), procedure) == UNRECOGNIZED

    def test_too_many_parameters(self) -> None:
        assert run(granted(AnsiConcentrator(), 1), 7, "00" * 65) == INVALID

    def test_reading_is_not_enough_to_command(self) -> None:
        model = AnsiConcentrator()
        reader = Meter(model, 1, Passwords(), granted=Clearance.READ)
        assert run(reader, 21, "0000") == NO_AUTHORIZATION
        assert not model.executed
        assert run(reader, 5, "03 0800") == DONE

    def test_before_the_first_procedure_there_is_no_answer(self) -> None:
        for number in (7, 8):
            response = granted(AnsiConcentrator(), 1).handle(FullRead(number), now=0.0)
            assert response.code is ResponseCode.DATA_NOT_READY

    def test_the_selector_says_when_there_is_an_answer(self) -> None:
        meter = granted(AnsiConcentrator(), 1)
        assert run(meter, 7) == DONE
        posted = table(meter, 8)
        for word in ("0710", "0720", "0220"):
            meter.handle(FullWrite(7, bytes.fromhex(word + "63")), now=0.0)
            assert table(meter, 8) == posted
        assert run(meter, 2, selector=1) == UNRECOGNIZED
        assert run(meter, 6, "00", selector=1) == INVALID
        assert run(meter, 7, selector=3) == DONE
        assert run(meter, 7, selector=4) == INVALID

    def test_a_locked_meter_runs_nothing(self) -> None:
        model = AnsiConcentrator()
        model.meter_state(1).locked = True
        write = FullWrite(7, bytes.fromhex("1500 01 0000"))
        response = granted(model, 1).handle(write, now=0.0)
        assert response.code is ResponseCode.DATA_LOCKED
        assert not model.executed


def lists(model: AnsiConcentrator, meter: Meter) -> dict[str, tuple[int, int]]:
    """Return valid and unread entries."""
    schema = schema_of(model)
    profile = decode_status(table(meter, 63), schema.configuration)[1]
    events = values(model, meter, 76)
    return {
        "profile": (profile.valid_blocks, profile.unread_blocks),
        "events": (events["valid_entries"], events["unread_entries"]),
    }
