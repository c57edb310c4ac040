from __future__ import annotations

import pytest

from reports.compare.comparable import Difference, differences
from tests.support.compared import subject

OLD = {"meterstorm": "0.1.0"}
NEW = {"meterstorm": "0.2.0"}


def keys(found: list[Difference], *, refused: bool) -> list[str]:
    return [one.key for one in found if one.refuses is refused]


def test_equal_runs_differ_in_nothing() -> None:
    assert differences(subject("a"), subject("b"), ()) == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("seed", "8"),
        ("speed", "60.0"),
        ("link", '"none"'),
        ("links.order", '"free"'),
        ("grid.links.0.profile", '"seed-2"'),
        ("target.kind", '"external"'),
        ("timeline.0.do", '"outage"'),
    ],
)
def test_what_was_asked_must_be_the_same(key: str, value: str) -> None:
    found = differences(subject(), subject(asked={key: value}), ())
    assert keys(found, refused=True) == [key]
    assert not keys(differences(subject(), subject(asked={key: value}), [key]), refused=True)


@pytest.mark.parametrize(
    ("key", "value"),
    [("target.group_commit", '"0.2 s"'), ("checks.readings.late", '"<= 1 %"'), ("name", '"b"')],
)
def test_what_is_compared_and_how_it_was_judged_may_differ_and_is_noted(
    key: str, value: str
) -> None:
    found = differences(subject(), subject(asked={key: value}), ())
    assert keys(found, refused=True) == []
    assert keys(found, refused=False) == [key]


@pytest.mark.parametrize("fact", ["processor", "cores"])
def test_another_machine_refuses_and_can_be_allowed(fact: str) -> None:
    other = subject(machine={fact: "another"})
    assert keys(differences(subject(), other, ()), refused=True) == [f"machine.{fact}"]
    assert keys(differences(subject(), other, ["machine"]), refused=True) == []
    assert keys(differences(subject(), other, ["mach"]), refused=True) == [f"machine.{fact}"]


def test_another_kernel_or_version_is_noted() -> None:
    before = subject(versions=OLD)
    after = subject(versions=NEW, machine={"system": "Linux 7"})
    noted = keys(differences(before, after, ()), refused=False)
    assert noted == ["machine.system", "versions.meterstorm"]


def test_a_key_that_an_older_build_does_not_know_is_noted() -> None:
    before = subject(versions=OLD)
    after = subject(versions=NEW, asked={"links.tcp": '"cubic"'})
    assert keys(differences(before, after, ()), refused=True) == []
    # Of the same build it is a key somebody wrote.
    same = subject(versions=OLD, asked={"links.tcp": '"cubic"'})
    assert keys(differences(before, same, ()), refused=True) == ["links.tcp"]
    # And another link class is never the newer build's doing.
    more = subject(versions=NEW, asked={"grid.links.1.profile": '"seed-4"'})
    assert keys(differences(before, more, ()), refused=True) == ["grid.links.1.profile"]


def test_other_readings_owed_for_the_same_question_refuse() -> None:
    found = differences(subject(), subject(owed=4801), ())
    assert found == [Difference("readings.owed", "4800", "4801", True)]
    # Another seed owes others.
    other = subject(asked={"seed": "8"}, owed=4801)
    assert keys(differences(subject(), other, ["seed"]), refused=True) == []


def test_what_refuses_comes_first() -> None:
    after = subject(asked={"description": '"b"', "seed": "8", "name": '"c"'})
    assert [one.key for one in differences(subject(), after, ())] == ["seed", "description", "name"]
