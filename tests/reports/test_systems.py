"""What views say of batteries and billing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reports.recording import BatteryFigures, BillFigures, Verdict
from reports.story import Tone, scale
from reports.systems import SystemPart, battery_facts, examples_of, systems
from tests.support.canned import passed_verdict, systems_verdict


def of_batteries(**changes: object) -> SystemPart:
    figures = BatteryFigures(batteries=1, virtual=1, commands_asked=1, commands_accepted=1)
    verdict = replace(passed_verdict(), batteries=replace(figures, **changes))  # type: ignore[arg-type]
    (part,) = systems(verdict)
    return part


def of_bills(figures: BillFigures) -> SystemPart:
    (part,) = systems(replace(passed_verdict(), bills=figures))
    return part


def lines(part: SystemPart) -> dict[str, tuple[int, str, Tone]]:
    return {
        f"{table.title}/{line.label}": (line.value, line.of_owed, line.tone)
        for table in part.tables
        for line in table.lines
    }


def test_a_run_without_systems_has_none() -> None:
    assert systems(passed_verdict()) == ()
    assert "batter" not in scale(passed_verdict())


def test_batteries_come_before_bills_and_are_part_of_the_scale() -> None:
    assert [part.key for part in systems(systems_verdict())] == ["batteries", "bills"]
    assert "1,000 concentrators, 200 batteries, 4 steps" in scale(systems_verdict())


def test_what_is_well_is_said_in_a_line() -> None:
    assert of_batteries(executed=3).sentence == (
        "1 battery, 1 virtual one commanded: 1 of 1 command accepted; "
        "3 orders carried out, each as ordered"
    )
    assert of_bills(BillFigures(due=7, correct=7)).sentence == (
        "7 bills due, all of them right to the cent"
    )
    assert of_bills(BillFigures()).sentence == "0 bills due, none made"


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("beyond_limits", "beyond limits"),
        ("unaccounted", "unaccounted"),
        ("lost", "lost"),
        ("twice", "twice"),
        ("invented", "invented"),
    ],
)
def test_each_finding_is_in_the_line_and_looks_bad(name: str, label: str) -> None:
    part = of_batteries(**{name: 1_234})
    assert part.sentence.endswith(f"carried out, 1,234 {label}")
    found = lines(part)[f"What the batteries have on record/{label}"]
    assert found == (1_234, "", Tone.BAD)


def test_commands_split_into_accepted_refused_and_unanswered() -> None:
    part = of_batteries(commands_asked=10, commands_accepted=6, commands_refused=3, commands_lost=2)
    found = {
        name.partition("/")[2]: line for name, line in lines(part).items() if "clients" in name
    }
    assert found == {
        "accepted": (6, "60 %", Tone.GOOD),
        "refused": (3, "30 %", Tone.PLAIN),
        "unanswered": (1, "10 %", Tone.DOUBT),
        "lost": (2, "20 %", Tone.BAD),
    }
    assert "6 of 10 commands accepted, 2 of them lost" in part.sentence


def test_a_fate_that_is_not_known_here_is_told_too() -> None:
    part = of_batteries(orders={"executed": 3, "evaporated": 1})
    found = lines(part)
    assert found["Orders of the layer, by what became of them/evaporated"] == (
        1,
        "25 %",
        Tone.DOUBT,
    )
    assert part.tables[1].whole.value == 4


def test_faults_of_bills_are_counted_one_by_one() -> None:
    bills = BillFigures(
        months=("2026-09", "2026-10"), due=9, correct=5, wrong=3, missing=1, twice=2, invented=4,
        made_s=2.0,
    )  # fmt: skip
    assert of_bills(bills).sentence == (
        "9 bills due for 2026-09, 2026-10, 3 wrong, 1 missing, 2 twice, 4 invented; "
        "made in 2 s, 4 bills/s"
    )


def test_examples_belong_to_their_check() -> None:
    verdict: Verdict = systems_verdict()
    assert len(examples_of(verdict, "batteries.invented")) == 1
    assert examples_of(verdict, "batteries.lost") == ()
    assert len(examples_of(verdict, "bills.wrong")) == 1
    assert examples_of(verdict, "bills.invented") == ()
    assert examples_of(verdict, "readings.invented") == ()
    assert examples_of(passed_verdict(), "batteries.invented") == ()


def test_what_the_layer_told_is_a_table_of_its_own() -> None:
    part = of_batteries(snapshots=600, accounts=60, unconserved=2, mixed_snapshots=1)
    told = part.tables[-1]
    assert (told.whole.value, told.whole.meaning) == (600, "that clients got; 60 virtual meters")
    assert [(line.value, line.tone) for line in told.lines] == [(2, Tone.BAD), (1, Tone.BAD)]
    assert part.sentence.endswith("each as ordered; 2 unconserved, 1 mixed snapshots")
    assert of_batteries().tables[-1].whole.meaning == "that clients got; no virtual meters"


def test_what_was_told_splits_into_obeyed_disobeyed_and_not_judged() -> None:
    part = of_batteries(obeyed=6, disobeyed=1, unjudged=3)
    (table,) = [one for one in part.tables if one.title.startswith("What virtual batteries")]
    assert table.whole.value == 10
    assert [(line.label, line.value, line.of_owed, line.tone) for line in table.lines] == [
        ("obeyed", 6, "60 %", Tone.GOOD),
        ("disobeyed", 1, "10 %", Tone.BAD),
        ("not judged", 3, "30 %", Tone.PLAIN),
    ]
    assert part.sentence.endswith("; of what was told 6 seen obeyed, 1 disobeyed, 3 not judged")


def test_without_a_journal_nothing_is_said_that_needs_one() -> None:
    unknown = dict.fromkeys(("commands_lost", "lost", "twice", "invented", "unconserved"))
    part = of_batteries(journal=False, disobeyed=0, executed=3, **unknown)
    assert "cannot be said" in part.lead
    assert [table.title for table in part.tables] == [
        "Commands of clients",
        "What the batteries have on record",
        "What virtual batteries were told, seen from outside the layer",
        "What the layer told, against the batteries' record",
    ]
    labels = {name.partition("/")[2] for name in lines(part)}
    assert labels.isdisjoint({"lost", "twice", "invented", "unconserved", "executed"})
    assert labels >= {"beyond limits", "unaccounted", "mixed snapshots", "disobeyed"}
    assert "3 orders carried out, all within limits; of what was told" in part.sentence


def test_facts_for_machines_have_a_name_each() -> None:
    facts = battery_facts(BatteryFigures(batteries=2, executed=5, orders={"in force": 1}))
    assert (facts["batteries"], facts["batteries.executed"]) == ("2", "5")
    assert facts["batteries.orders.in force"] == "1"
