from __future__ import annotations

from typing import Any

import pytest

from harness.headend.config import HeadEndConfig
from tests.support.headend import config


@pytest.mark.parametrize(
    "wrong",
    [
        {"shard": -1},
        {"listen_port": 70_000},
        {"concurrency": 0},
        {"timeout_s": 0},
        {"group_commit_s": float("nan")},
        {"rows_waiting_max": 0},
        {"gap_filling": {"attempts": 256}},
        {"kill": {"point": "nowhere"}},
        {"unheard_of": 1},
    ],
)
def test_what_makes_no_sense_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        config(**wrong)


def test_a_configuration_survives_its_file() -> None:
    written = config(kill={"point": "rows-written", "count": 2}, clock=(1.0, 2.0, 3.0))
    assert HeadEndConfig.model_validate_json(written.model_dump_json()) == written
