from __future__ import annotations

import pytest

from harness.errors import EnvironmentUnfitError
from harness.run.congestion import check_congestion, congestion_facts


def test_what_was_used_is_told_by_side() -> None:
    summaries = [{"congestion": {"cubic": 2}}, {"congestion": {"cubic": 1, "bbr": 1}}, {}]
    counted = {"connections under cubic": 4, "connections accepted": 4}
    facts = congestion_facts("cubic", summaries, counted)
    assert facts.wanted == "cubic"
    assert facts.used == {"fleet": {"cubic": 3, "bbr": 1}, "head-end": {"cubic": 4}}


def test_a_side_that_says_nothing_is_left_out() -> None:
    assert congestion_facts(None, [], {}).used == {}


def test_a_congestion_control_that_is_not_there_is_the_machines_fault() -> None:
    check_congestion(None)
    check_congestion("reno")
    with pytest.raises(EnvironmentUnfitError, match=r"links\.congestion: .*'pigeon' is not there"):
        check_congestion("pigeon")
