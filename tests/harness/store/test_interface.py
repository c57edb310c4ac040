"""The rules of a store, on both back ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.store.commands import Command, CommandState
from harness.store.errors import CommandError, StoreError, StoreSchemaError
from harness.store.interface import (
    AlarmFilter,
    EventReader,
    ExportFormat,
    PutResult,
    PutStage,
    StoredReader,
)
from harness.store.rows import NO_METER, RegistrationKind, Via
from tests.support.stores import (
    Alarm,
    Change,
    Model,
    Place,
    Reading,
    alarms_of,
    push,
    readings_of,
    registered,
    registrations_of,
    rows_of,
    stored_alarms_of,
    tuples_of,
)

HIGHEST = 2**32 - 1
SLOTS = (900, 1800)
TITLE = b"MSC\x00\x00\x00\x00\x01"

# Few keys and few values, so that repeats and conflicts are common.
READINGS: st.SearchStrategy[Reading] = st.tuples(
    st.sampled_from([0, 1, 2, 7, 8, 9, 70_000]),
    st.sampled_from([1, 2]),
    st.sampled_from(SLOTS),
    st.sampled_from([0, 255]),
    st.tuples(st.sampled_from([0, HIGHEST]), st.just(5)),
    st.sampled_from(list(Via)),
)
COUNTERS = st.dictionaries(
    st.sampled_from([TITLE, b"\xff\x00'\\\x00"]), st.sampled_from([0, 7, 2**32 - 1, 2**63 - 1])
)
ALARMS: st.SearchStrategy[Alarm] = st.tuples(
    st.sampled_from([0, 1, 256, HIGHEST]),
    st.sampled_from([0, 1]),
    st.sampled_from([0, 256, 65_535]),
    st.sampled_from([0, 1, HIGHEST]),
    st.sampled_from([-1, 900, 1800]),
    st.sampled_from([0, HIGHEST]),
)
CHANGES: st.SearchStrategy[Change] = st.tuples(
    st.sampled_from([0, 3, NO_METER]),
    st.sampled_from([0, 1]),
    st.sampled_from(list(RegistrationKind)),
    st.sampled_from([0, HIGHEST]),
    st.integers(0, 5),
)
PUTS = st.tuples(
    st.lists(READINGS, max_size=25),
    COUNTERS,
    st.lists(ALARMS, max_size=25),
    st.lists(CHANGES, max_size=5),
)
Step = tuple[list[Reading], dict[bytes, int], list[Alarm], list[Change]] | None
ALWAYS = AlarmFilter(-(2**62), 2**62)
REOPEN = None


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.one_of(PUTS, st.just(REOPEN)), max_size=6))
def test_any_sequence_of_puts_leaves_what_the_model_has(
    new_place: Callable[[], Place], steps: list[Step]
) -> None:
    place, model = new_place(), Model()
    store = place.open()
    try:
        for stored_at_us, step in enumerate(steps):
            if step is REOPEN:
                store.close()
                store = place.open(create=False)
                continue
            readings, counters, alarms, changes = step
            expected = model.put(readings, counters, stored_at_us, alarms, changes)
            found = store.put(
                rows_of(readings),
                counters,
                stored_at_us,
                alarms=alarms_of(alarms),
                registrations=registrations_of(changes),
            )
            assert found == expected
            for slot in SLOTS:
                for profile in (1, 2):
                    present = store.present(slot, profile, range(10))
                    assert present.tolist() == [
                        (meter, profile, slot) in model.readings for meter in range(10)
                    ]
        assert store.counters() == model.counters
        assert store.slots().tolist() == model.slots()
        assert store.conflict_count() == len(model.conflicts)
        assert store.alarm_conflict_count() == len(model.alarm_conflicts)
        found_alarms = stored_alarms_of(store.alarms(ALWAYS, 1000))
        assert found_alarms == by_raising(list(model.alarms.values()))
        assert tuples_of(store.last_registrations()) == last_of(model.changes)
    finally:
        store.close()
    with closing(place.reader()) as reader:
        assert reader.count() == len(model.readings)
        for slot in SLOTS:
            assert readings_of(reader.rows(slot)) == model.slot(slot)
        assert sorted(readings_of(reader.conflicts())) == sorted(model.conflicts)
        events = events_of(reader)
        assert stored_alarms_of(events.alarms()) == by_raising(list(model.alarms.values()))
        aside = stored_alarms_of(events.alarm_conflicts())
        assert aside == by_raising(model.alarm_conflicts)
        changes = sorted(model.changes, key=lambda c: (c[4], c[1], c[0], c[2], c[3]))
        assert sorted(tuples_of(events.registrations())) == sorted(changes)
        assert [c[4] for c in tuples_of(events.registrations())] == [c[4] for c in changes]


@settings(max_examples=25, deadline=None)
@given(steps=st.lists(st.tuples(st.booleans(), st.lists(READINGS, max_size=25)), max_size=6))
def test_what_is_loaded_and_what_is_put_keep_the_same_rules(
    new_place: Callable[[], Place], steps: list[tuple[bool, list[Reading]]]
) -> None:
    place, model = new_place(), Model()
    with closing(place.open()) as store:
        for stored_at_us, (loaded, readings) in enumerate(steps):
            rows = rows_of(readings)
            found = store.load(rows, stored_at_us) if loaded else store.put(rows, {}, stored_at_us)
            assert found == model.put(readings, {}, stored_at_us)
    with closing(place.reader()) as reader:
        for slot in SLOTS:
            assert readings_of(reader.rows(slot)) == model.slot(slot)
        assert sorted(readings_of(reader.conflicts())) == sorted(model.conflicts)


def events_of(reader: StoredReader) -> EventReader:
    assert isinstance(reader, EventReader)
    return reader


def by_raising(alarms: list[tuple[Alarm, int]]) -> list[tuple[Alarm, int]]:
    return sorted(alarms, key=lambda a: (a[0][4], *a[0][:4], a[1], a[0][5]))


def last_of(changes: list[Change]) -> list[Change]:
    last: dict[tuple[int, int], Change] = {}
    for change in changes:
        node = (change[1], change[0])
        last[node] = max(change, last.get(node, change), key=lambda c: (c[4], c[2], c[3]))
    return [last[node] for node in sorted(last)]


def test_the_first_alarm_to_arrive_stays_whatever_comes_later(place: Place) -> None:
    first: Alarm = (3, 0, 11, 7, 900, 5)
    other_time: Alarm = (*first[:4], 901, 5)
    other_argument: Alarm = (*first[:5], 6)
    with closing(place.open()) as store:
        for stored_at_us, (alarms, counts) in enumerate(
            [
                ([first, other_time], (1, 0, 1)),
                ([other_argument], (0, 0, 1)),
                ([first, first], (0, 2, 0)),
            ]
        ):
            found = store.put(push([], 900), {}, stored_at_us, alarms=alarms_of(alarms))
            assert found == PutResult(0, 0, 0, *counts)
    with closing(place.reader()) as reader:
        events = events_of(reader)
        assert stored_alarms_of(events.alarms()) == [(first, 0)]
        assert stored_alarms_of(events.alarm_conflicts()) == [(other_argument, 1), (other_time, 0)]


def test_alarms_are_filtered_and_paged(place: Place) -> None:
    alarms: list[Alarm] = [
        (meter, source, code, 1, 900 * meter, 0)
        for meter in (1, 2, 3)
        for source in (0, 1)
        for code in (5, 6)
    ]
    with closing(place.open()) as store:
        store.put(push([], 900), {}, 1, alarms=alarms_of(alarms))

        def wanted(wanted: AlarmFilter, count: int = 100) -> list[tuple[int, ...]]:
            return tuples_of(store.alarms(wanted, count).alarms)

        assert wanted(AlarmFilter(900, 2700)) == alarms[:8]
        assert wanted(AlarmFilter(0, 9000, meter=2)) == alarms[4:8]
        assert wanted(AlarmFilter(0, 9000, source=1, code=6)) == alarms[3::4]
        some = [alarm for alarm in alarms if alarm[1:3] in ((0, 6), (1, 5))]
        assert wanted(AlarmFilter(0, 9000, among=((0, 6), (1, 5)))) == some
        assert wanted(AlarmFilter(0, 9000, but=((0, 5), (1, 6)))) == some
        assert wanted(AlarmFilter(0, 9000, among=())) == []
        assert wanted(AlarmFilter(0, 9000), count=4) == alarms[:4]
        meter, source, code, sequence, raised_at_s, _ = alarms[3]
        last = (raised_at_s, meter, source, code, sequence)
        assert wanted(AlarmFilter(0, 9000, after=last), count=4) == alarms[4:8]


def test_a_tampered_alarm_is_read_as_it_is(place: Place) -> None:
    alarms: list[Alarm] = [(meter, 0, 5, 1, 900, 0) for meter in (1, 2, 3)]
    with closing(place.open()) as store:
        store.put(push([], 900), {}, 1, alarms=alarms_of(alarms))
    place.tamper(
        *(["DROP INDEX alarms_once"] if place.address.startswith("postgresql") else []),
        "INSERT INTO alarms SELECT * FROM alarms WHERE meter = 1",
        "UPDATE alarms SET argument = argument + 1 WHERE meter = 2",
        "DELETE FROM alarms WHERE meter = 3",
    )
    with closing(place.reader()) as reader:
        found = tuples_of(events_of(reader).alarms().alarms)
    assert found == [alarms[0], alarms[0], (*alarms[1][:5], 1)]


def test_a_store_of_an_earlier_version_is_read_and_written_on(place: Place) -> None:
    with closing(place.open()) as store:
        store.put(push([1], 900), {}, 1)
    place.tamper(*(f"DROP TABLE {n}" for n in ("alarms", "alarm_conflicts", "registrations")))
    with closing(place.reader()) as reader:
        assert reader.count() == 1
        events = events_of(reader)
        assert len(events.alarms()) == len(events.alarm_conflicts()) == 0
        assert len(events.registrations()) == 0
    with closing(place.open(create=False)) as store:
        found = store.put(push([1], 1800), {}, 2, alarms=alarms_of([(1, 0, 5, 1, 900, 0)]))
        assert found == PutResult(1, 0, 0, 1, 0, 0)


def test_the_first_arrival_stays_whatever_comes_later(place: Place) -> None:
    with closing(place.open()) as store:
        assert store.put(push([3], 900, value=7), {}, 10) == PutResult(1, 0, 0)
        assert store.put(push([3], 900, value=8), {}, 20) == PutResult(0, 0, 1)
        assert store.put(push([3], 900, value=7), {}, 30) == PutResult(0, 1, 0)
        assert readings_of(store.readings(3, 0, 1000)) == [((3, 1, 900, 0, (7, 0), 0), 10)]


def test_another_status_is_a_conflict_and_another_way_is_not(place: Place) -> None:
    first: Reading = (3, 1, 900, 0, (7, 0), Via.PUSH)
    with closing(place.open()) as store:
        store.put(rows_of([first]), {}, 10)
        other_status = rows_of([(*first[:3], 1, *first[4:])])
        other_way = rows_of([(*first[:5], Via.GAP_FILLING)])
        assert store.put(other_status, {}, 20) == PutResult(0, 0, 1)
        assert store.put(other_way, {}, 30) == PutResult(0, 1, 0)


def test_counters_are_kept_without_rows_and_never_go_down(place: Place) -> None:
    with closing(place.open()) as store:
        store.put(push([], 900), {TITLE: 5}, 10)
        store.put(push([], 900), {TITLE: 4}, 20)
    with closing(place.open()) as store:
        assert store.counters() == {TITLE: 5}


def test_readings_are_of_one_meter_and_a_half_open_time(place: Place) -> None:
    with closing(place.open()) as store:
        for slot in (1800, 900, 2700):
            store.put(push([3, 4], slot), {}, slot)
        found = store.readings(3, 900, 2700).rows
        assert found.captured_at_s.tolist() == [900, 1800]
        assert set(found.meter.tolist()) == {3}


def test_a_wrong_number_of_registers_is_refused(place: Place) -> None:
    with closing(place.open(("import_wh",))) as store, pytest.raises(ValueError, match="2 values"):
        store.put(push([1], 900), {}, 10)


def test_a_store_of_other_registers_is_refused(place: Place) -> None:
    place.open().close()
    with pytest.raises(StoreSchemaError, match="import_wh, export_wh, not import_wh"):
        place.open(("import_wh",))


def test_no_store_is_made_unless_asked_for(place: Place) -> None:
    with pytest.raises(StoreSchemaError):
        place.open(create=False)


def test_a_closed_store_says_so(place: Place) -> None:
    store = place.open()
    store.close()
    store.close()
    with pytest.raises(StoreError, match="closed"):
        store.put(push([1], 900), {}, 10)
    with pytest.raises(StoreError, match="closed"):
        store.counters()


def test_commands_are_journalled(place: Place) -> None:
    asked = Command(7, 3, "switch", '{"segment": 2, "text": "it\'s"}', created_at_us=10)
    sent = replace(
        asked, state=CommandState.SENT, invocation_counter=2**32 - 1, sent_at_us=20, attempts=1
    )
    with closing(place.open()) as store:
        store.add_command(asked)
        store.add_command(replace(asked, id=2, meter=HIGHEST))
        store.update_command(sent)
        assert store.commands() == [replace(asked, id=2, meter=HIGHEST), sent]
        with pytest.raises(CommandError, match="command 7 exists"):
            store.add_command(asked)
        with pytest.raises(CommandError, match="no command 8"):
            store.update_command(replace(asked, id=8))
        store.put(push([1], 900), {}, 10)
    with closing(place.reader()) as reader:
        assert reader.commands()[1] == sent


@pytest.mark.parametrize("file_format", ["csv", "parquet"])
def test_an_export_has_the_rows_of_its_time_in_order(
    place: Place, tmp_path: Path, file_format: ExportFormat
) -> None:
    with closing(place.open()) as store:
        for slot in (2700, 1800, 900):
            store.put(push([4, 3], slot, value=HIGHEST), {}, slot)
        path = tmp_path / f"it's.{file_format}"
        assert store.export(path, file_format=file_format, from_s=900, to_s=2700) == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    relation = f"read_{file_format}(?)"
    columns = "captured_at, meter, profile, status, via, stored_at, import_wh, export_wh"
    with duckdb.connect() as session:
        found = session.execute(f"SELECT {columns} FROM {relation}", [str(path)]).fetchall()
    assert found == [
        (slot, meter, 1, 0, 0, slot, HIGHEST, 0) for slot in (900, 1800) for meter in (3, 4)
    ]


def test_both_back_ends_export_the_same_csv(place: Place, tmp_path: Path) -> None:
    with closing(place.open()) as store:
        store.put(push([4, 3], 900), {}, 5)
        path = store.export(tmp_path / "rows.csv", file_format="csv", from_s=0, to_s=1000)
    assert path.read_text() == (
        "meter,profile,captured_at,status,via,stored_at,import_wh,export_wh\n"
        "3,1,900,0,0,5,7,0\n"
        "4,1,900,0,0,5,7,0\n"
    )


def test_alarms_are_exported_too(place: Place, tmp_path: Path) -> None:
    with closing(place.open()) as store:
        alarms: list[Alarm] = [(4, 0, 5, 1, 1800, 9), (3, 1, 8, 900, 900, 0), (3, 0, 5, 1, 2700, 0)]
        store.put(push([1], 900), {}, 7, alarms=alarms_of(alarms))
        path = tmp_path / "alarms.csv"
        store.export(path, file_format="csv", from_s=0, to_s=2700, what="alarms")
    assert path.read_text() == (
        "meter,source,code,sequence,raised_at,argument,stored_at\n3,1,8,900,900,0,7\n4,0,5,1,1800,9,7\n"
    )


def test_an_export_that_cannot_be_written_names_its_path(place: Place, tmp_path: Path) -> None:
    with closing(place.open()) as store:
        path = tmp_path / "missing" / "rows.csv"
        with pytest.raises(StoreError, match=r"missing/rows\.csv"):
            store.export(path, file_format="csv", from_s=0, to_s=1)
        assert store.put(push([1], 900), {}, 10) == PutResult(1, 0, 0)


def test_threads_may_share_a_store(place: Place) -> None:
    results: list[PutResult] = []
    with closing(place.open()) as store:

        def put_all() -> None:
            for slot in SLOTS:
                results.append(store.put(push(range(50), slot), {TITLE: slot}, 10))
                assert store.present(slot, 1, range(50)).all()
                assert len(store.readings(5, 0, 2000)) >= 1

        threads = [threading.Thread(target=put_all) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert store.counters() == {TITLE: 1800}
    assert sum(result.inserted for result in results) == 100
    assert sum(result.repeated for result in results) == 300


def test_a_tampered_store_is_read_as_it_is(place: Place) -> None:
    with closing(place.open()) as store:
        store.put(push([1, 2, 3], 900), {}, 10)
    place.tamper(
        *(["DROP INDEX readings_once"] if place.address.startswith("postgresql") else []),
        "INSERT INTO readings SELECT * FROM readings WHERE meter = 1",
        "UPDATE readings SET import_wh = import_wh + 1 WHERE meter = 2",
        "DELETE FROM readings WHERE meter = 3",
    )
    with closing(place.reader()) as reader:
        found = reader.rows(900)
        assert found.rows.meter.tolist() == [1, 1, 2]
        assert found.rows.values[:, 0].tolist() == [7, 7, 8]
        assert reader.slots().tolist() == [900]
        assert reader.count() == 3


def test_a_store_grows_on_disk(place: Place) -> None:
    with closing(place.open()) as store:
        before = store.size_bytes()
        store.put(push(range(20_000), 900), {}, 10)
        assert store.size_bytes() > before > 0


def test_an_empty_put_is_nothing(place: Place) -> None:
    with closing(place.open()) as store:
        assert store.put(push([], 900), {}, 10) == PutResult(0, 0, 0)
        assert store.slots().dtype == np.int64
        assert len(store.readings(1, 0, 10)) == 0


@pytest.mark.parametrize("last", list(PutStage))
def test_a_put_undone_at_a_stage_leaves_nothing(place: Place, last: PutStage) -> None:
    reached: list[PutStage] = []

    def stop_at(stage: PutStage) -> None:
        reached.append(stage)
        if stage is last:
            raise ArithmeticError

    with closing(place.open()) as store:
        with pytest.raises(ArithmeticError):
            store.put(
                push([1, 2], 900),
                {TITLE: 7},
                1,
                stop_at,
                alarms_of([(1, 0, 5, 1, 900, 0)]),
                registrations_of([registered(1, 10)]),
            )
        assert reached == list(PutStage)[: list(PutStage).index(last) + 1]
        assert store.counters() == {}
        assert len(store.alarms(ALWAYS, 10)) == len(store.last_registrations()) == 0
        again = alarms_of([(1, 0, 5, 1, 900, 1)])
        found = store.put(push([1, 2], 900), {TITLE: 7}, 1, alarms=again)
        assert found == PutResult(2, 0, 0, 1)


def test_what_is_forgotten_is_gone_and_may_come_again(place: Place) -> None:
    with closing(place.open()) as store:
        store.put(push([1, 2], 900), {TITLE: 5}, 1)
        store.put(push([1], 900, value=8), {}, 2)
        store.put(push([1], 1800), {}, 3)
        assert store.forget(900) == 0
        assert store.forget(1800) == 3
        assert store.slots().tolist() == [1800]
        assert store.conflict_count() == 0
        assert store.counters() == {TITLE: 5}
        assert store.put(push([1, 1], 900), {}, 4) == PutResult(1, 1, 0)
        assert store.put(push([1], 1800), {}, 4) == PutResult(0, 1, 0)
    with closing(place.open()) as store:
        assert store.slots().tolist() == [900, 1800]
