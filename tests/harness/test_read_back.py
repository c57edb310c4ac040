"""What a foreign head-end stored, as the verdict sees it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import duckdb
import pytest

from harness.check.command import judge_run
from harness.check.recorded import RecordedRun
from harness.check.stores import open_stores
from harness.read_back import doubts_of
from reports.recording import Readings, Verdict
from tests.support.recorded_run import CHANGE_ONE, DOUBLE_ONE, REMOVE_ONE, RecordedFolder, tamper

PUSH: Final = {"host": "127.0.0.1", "port": 4059}
NAMES: Final = "printf('MST%013d', meter::BIGINT + 1)"
THEIRS: Final = (
    f"SELECT {NAMES} AS device, captured_at AS at, import_wh AS plus, import_rate1_wh, "
    "import_rate2_wh, export_wh FROM readings"
)
COLUMNS: Final = {"meter": "device", "captured_at": "at", "import_wh": "plus"}
TIMED: Final = THEIRS.replace("FROM", ", make_timestamp(stored_at) AS stored_at, status FROM")
SHOWN: Final = ("wrong", "lost", "duplicated", "invented", "unattempted", "late")


class ForeignRun:
    """A run whose head-end wrote files (or a database) of its own; all was well with it."""

    def __init__(self, folder: Path, /, **read_back: Any) -> None:
        self.files = folder / "theirs"
        self.files.mkdir()
        if read_back.get("kind") != "sql":
            read_back = {"kind": "files", "folder": "theirs", "columns": COLUMNS} | read_back
        target = {"kind": "external", "push": PUSH, "read_back": read_back}
        facts = {"stores": ()}
        self.run = RecordedFolder(folder, {"target": target}, facts)

    def export(self, query: str = THEIRS, name: str = "readings.csv") -> None:
        with duckdb.connect(self.run.store, read_only=True) as session:
            session.execute(f"COPY ({query}) TO '{self.files / name}'")

    def add(self, *lines: str) -> None:
        with (self.files / "readings.csv").open("a") as file:
            file.writelines(line + "\n" for line in lines)

    @property
    def first_s(self) -> int:
        return self.run.prepared.fleet.first_s

    def verdict(self) -> Verdict:
        return judge_run(self.run.path).verdict


Make = Callable[..., ForeignRun]


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Make:
    # The scenario of `RecordedFolder` lies in the current folder: folders are relative to it.
    monkeypatch.chdir(tmp_path)
    return lambda **read_back: ForeignRun(tmp_path, **read_back)


def counts(readings: Readings) -> dict[str, int]:
    return {name: value for name in SHOWN if (value := getattr(readings, name))}


def test_files_without_times_pass_and_lateness_is_unknown(make: Make) -> None:
    foreign = make()
    foreign.export()
    verdict = foreign.verdict()
    assert (verdict.verdict, verdict.reasons) == ("passed", ())
    assert verdict.readings.owed == verdict.readings.correct == 160
    assert verdict.readings.late is None


@pytest.mark.parametrize(("late_s", "late"), [(0, 0), (4, 160)])
def test_times_of_storing_are_used_where_they_are_there(late_s: int, late: int, make: Make) -> None:
    foreign = make()
    foreign.export(TIMED.replace("(stored_at)", f"(stored_at + {late_s}000000)"))
    assert foreign.verdict().readings.late == late


def test_columns_that_are_mapped_win_over_those_of_our_name(make: Make) -> None:
    foreign = make(columns=COLUMNS | {"status": "state", "stored_at": "received"})
    query = TIMED.replace("AS stored_at, status", "AS received, status AS state, 7 AS status")
    foreign.export(query)
    assert foreign.verdict().verdict == "passed"
    assert foreign.verdict().readings.late == 0


def test_a_status_that_the_meter_never_had_is_wrong(make: Make) -> None:
    foreign = make()
    foreign.export(TIMED.replace("status FROM", "4 AS status FROM"))
    assert counts(foreign.verdict().readings) == {"wrong": 160}


def test_the_format_says_which_files_are_meant(make: Make) -> None:
    foreign = make(format="parquet")
    foreign.export(name="readings.parquet")
    (foreign.files / "notes.csv").write_text("something,else\n1,2\n")
    assert foreign.verdict().verdict == "passed"
    (foreign.files / "readings.parquet").unlink()
    verdict = foreign.verdict()
    assert verdict.verdict == "inconclusive"
    assert "there are no .parquet files" in verdict.reasons[0]


def test_files_of_the_other_format_are_left_alone(make: Make) -> None:
    foreign = make()
    foreign.export()
    foreign.export(f"{THEIRS} LIMIT 1", name="old.parquet")
    assert foreign.verdict().verdict == "passed"


@pytest.mark.parametrize(
    ("statements", "expected"),
    [
        pytest.param([CHANGE_ONE], {"wrong": 1}, id="one value changed"),
        pytest.param([REMOVE_ONE], {"lost": 1}, id="one row removed"),
        pytest.param([DOUBLE_ONE], {"duplicated": 1}, id="one row doubled"),
    ],
)
def test_tampering_is_found(statements: list[str], expected: dict[str, int], make: Make) -> None:
    foreign = make()
    tamper(foreign.run.store, *statements)
    foreign.export()
    verdict = foreign.verdict()
    assert (verdict.verdict, counts(verdict.readings)) == ("failed", expected)


@pytest.mark.parametrize(
    "name",
    [
        "somebody else's",
        "MST0000000000041",
        "MST9999999999999",
        "MST4294967296001",
        "MSC0000000000001",
        "mst0000000000001",
        "Zähler0000000001",
        "1",
    ],
)
def test_rows_of_meters_that_are_not_of_the_run_are_invented(name: str, make: Make) -> None:
    foreign = make()
    foreign.export()
    foreign.add(f"{name},{foreign.first_s},1,1,0,0", f"{name},{foreign.first_s + 900},1,1,0,0")
    verdict = foreign.verdict()
    assert (verdict.verdict, counts(verdict.readings)) == ("failed", {"invented": 2})
    assert any(repr(name) in reason and reason.startswith("1 meters") for reason in verdict.reasons)


def test_a_row_of_a_time_that_the_plan_does_not_have_is_invented(make: Make) -> None:
    foreign = make()
    foreign.export()
    foreign.add(f"MST0000000000001,{foreign.first_s + 450},1,1,0,0")
    assert counts(foreign.verdict().readings) == {"invented": 1}


@pytest.mark.parametrize(
    "row",
    [
        "MST0000000000001,yesterday,1,1,0,0",
        "MST0000000000001,{at},1.5,1,0,0",
        "MST0000000000001,{at},-1,1,0,0",
        "MST0000000000001,{at},4294967296,1,0,0",
        "MST0000000000001,{at},,1,0,0",
        "somebody,yesterday,1,1,0,0",
        ",{at},1,1,0,0",
    ],
)
def test_a_row_that_cannot_be_read_does_not_pass_in_silence(row: str, make: Make) -> None:
    foreign = make()
    foreign.export()
    foreign.add(row.format(at=foreign.first_s))
    verdict = foreign.verdict()
    assert verdict.verdict == "inconclusive"
    assert any("1 rows that were read back are no readings" in text for text in verdict.reasons)


def test_a_wrong_reading_fails_beside_rows_that_cannot_be_read(make: Make) -> None:
    foreign = make()
    tamper(foreign.run.store, CHANGE_ONE)
    foreign.export()
    foreign.add("MST0000000000001,yesterday,1,1,0,0")
    assert foreign.verdict().verdict == "failed"


def test_a_database_is_read_by_its_query(make: Make, tmp_path: Path) -> None:
    query = THEIRS.replace("AS device", "AS meter").replace("AS at", "AS captured_at")
    only_ours = "SELECT * FROM kept WHERE captured_at >= {first_s} AND captured_at < {end_s}"
    foreign = make(kind="sql", url=f"duckdb://{tmp_path}/theirs.duckdb", query=only_ours)
    with duckdb.connect(tmp_path / "theirs.duckdb") as theirs:
        theirs.execute(f"ATTACH '{foreign.run.store}' AS ours (READ_ONLY)")
        our_rows = query.replace("plus", "import_wh").replace("readings", "ours.readings")
        theirs.execute(f"CREATE TABLE kept AS {our_rows}")
        for beside in (-900, 4 * 900):
            theirs.execute(
                "INSERT INTO kept BY NAME SELECT * REPLACE (captured_at + $1 AS captured_at) "
                "FROM kept WHERE captured_at = $2",
                [beside, foreign.first_s],
            )
    assert foreign.verdict().verdict == "passed"


@pytest.mark.parametrize(
    ("read_back", "reason"),
    [
        pytest.param({"folder": "nowhere"}, "there are no .csv files", id="no folder"),
        pytest.param(
            {"columns": COLUMNS | {"export_wh": "minus"}}, "no column 'minus'", id="no such column"
        ),
        pytest.param(
            {"columns": COLUMNS | {"stored_at": "never"}},
            "no column 'never'",
            id="no such optional column",
        ),
        pytest.param(
            {"kind": "sql", "url": "duckdb:///nowhere/x.duckdb", "query": "SELECT 1"},
            "/nowhere/x.duckdb",
            id="no database",
        ),
        pytest.param(
            {"kind": "sql", "url": "postgresql://me:geheim@127.0.0.1:1/x", "query": "SELECT 1"},
            "127.0.0.1:1",
            id="no server",
        ),
    ],
)
def test_what_cannot_be_read_back_proves_nothing(
    read_back: dict[str, Any], reason: str, make: Make
) -> None:
    foreign = make(**read_back)
    foreign.export()
    verdict = foreign.verdict()
    assert verdict.verdict == "inconclusive"
    assert reason in verdict.reasons[0]
    assert "geheim" not in verdict.reasons[0]


def test_our_own_stores_leave_no_doubt(tmp_path: Path) -> None:
    run = RecordedRun.open(RecordedFolder(tmp_path).path)
    with open_stores(run) as reader:
        assert doubts_of(reader) == ()


def test_a_foreign_store_is_read_in_its_own_terms(make: Make) -> None:
    foreign = make()
    foreign.export()
    run = RecordedRun.open(foreign.run.path)
    with open_stores(run) as reader:
        assert reader.registers == run.truth.profile.names
        assert reader.count() == 160
        assert reader.slots().tolist() == [foreign.first_s + 900 * step for step in range(4)]
        assert reader.commands() == []
