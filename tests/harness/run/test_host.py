from __future__ import annotations

from pathlib import Path

import pytest

from harness.run.host import conntrack_drops, host_facts

TABLE = """\
entries  clashres found insert_failed drop early_drop
0000000a 00000001 00000000 00000002 00000010 00000000
0000000a 00000001 00000000 00000000 00000001 00000003
"""


def test_what_connection_tracking_dropped_is_added_up_over_processors(tmp_path: Path) -> None:
    path = tmp_path / "nf_conntrack"
    path.write_text(TABLE)
    assert conntrack_drops(path) == 2 + 16 + 1 + 3


@pytest.mark.parametrize("text", [None, "", "entries found\n00000001 00000001\n"])
def test_where_nothing_is_tracked_nothing_is_dropped(text: str | None, tmp_path: Path) -> None:
    path = tmp_path / "nf_conntrack"
    if text is not None:
        path.write_text(text)
    assert conntrack_drops(path) == 0


def test_the_machine_is_described() -> None:
    facts = host_facts()
    assert int(facts["cores"]) >= 1
    assert facts["memory"].endswith(" GiB")
    assert facts["processor"]
