from __future__ import annotations

from pathlib import Path

import pytest

from harness.api.config import TOKEN_OCTETS_MAX, TOKEN_OCTETS_MIN, read_token


def written(folder: Path, content: bytes, mode: int = 0o600) -> Path:
    file = folder / "token"
    file.write_bytes(content)
    file.chmod(mode)
    return file


@pytest.mark.parametrize("octets", [TOKEN_OCTETS_MIN, TOKEN_OCTETS_MAX])
def test_a_token_is_read_without_what_is_around_it(tmp_path: Path, octets: int) -> None:
    token = "~" * octets
    assert read_token(written(tmp_path, token.encode())) == token
    if octets == TOKEN_OCTETS_MIN:
        assert read_token(written(tmp_path, f" {token}\n".encode())) == token


@pytest.mark.parametrize(
    "content",
    [b"", b"!" * (TOKEN_OCTETS_MIN - 1), b"!" * (TOKEN_OCTETS_MAX + 1), b"a b" * 9, b"\x7f" * 20],
)
def test_what_is_no_token_is_refused_by_its_file_and_never_told(
    tmp_path: Path, content: bytes
) -> None:
    file = written(tmp_path, content)
    with pytest.raises(ValueError, match="token: a token ") as refused:
        read_token(file)
    assert not content.strip() or content.decode("latin-1") not in str(refused.value)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_token_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    with pytest.raises(ValueError, match="chmod 600"):
        read_token(written(tmp_path, b"!" * 20, mode))
