"""Where keys come from, and what is said when they do not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emulator.identity import concentrator_name, concentrator_system_title, seeded_test_keys
from emulator.keys import FileKeys, KeyFileError, SeededKeys, key_ring

NAME, TITLE = concentrator_name(4), concentrator_system_title(4)
ENTRY = {"encryption_key": "00" * 16, "authentication_key": "11" * 16, "secret": "2233"}


def key_file(folder: Path, entry: object) -> Path:
    path = folder / "keys.json"
    path.write_text(json.dumps({NAME.decode(): entry}))
    return path


def test_test_keys_follow_from_the_seed() -> None:
    keys = seeded_test_keys(7, NAME)
    credentials = key_ring(7, None).of(NAME, TITLE)
    assert credentials.system_title == TITLE
    assert credentials.encryption_key == keys.unicast_encryption_key
    assert credentials.authentication_key == keys.authentication_key
    assert credentials.secret == keys.secret
    assert credentials != SeededKeys(8).of(NAME, TITLE)


def test_a_key_file_is_by_name_of_the_device(tmp_path: Path) -> None:
    credentials = key_ring(7, key_file(tmp_path, ENTRY)).of(NAME, TITLE)
    assert credentials.encryption_key == bytes(16)
    assert credentials.authentication_key == b"\x11" * 16
    assert credentials.secret == b"\x22\x33"
    assert "11" not in repr(credentials)


@pytest.mark.parametrize(
    "entry",
    [
        {key: value for key, value in ENTRY.items() if key != "secret"},
        ENTRY | {"secret": "no hex"},
        ENTRY | {"secret": 5},
        ENTRY | {"encryption_key": "00" * 15},
        ["not", "a", "map"],
        None,
    ],
)
def test_a_device_without_usable_keys_is_named(tmp_path: Path, entry: object) -> None:
    keys = FileKeys(key_file(tmp_path, entry))
    with pytest.raises(KeyFileError, match=r"keys\.json: .*MSC0000000000005"):
        keys.of(NAME, TITLE)


def test_an_unknown_device_is_named(tmp_path: Path) -> None:
    keys = FileKeys(key_file(tmp_path, ENTRY))
    with pytest.raises(KeyFileError, match="MSC0000000000001"):
        keys.of(concentrator_name(0), TITLE)


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"text"'])
def test_a_file_that_is_no_key_file_is_named(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keys.json"
    path.write_text(text)
    with pytest.raises(KeyFileError, match=r"keys\.json"):
        key_ring(7, path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(KeyFileError, match=r"nowhere\.json"):
        key_ring(7, tmp_path / "nowhere.json")
