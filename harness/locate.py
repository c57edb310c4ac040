"""Where a key of a TOML document is written: tomllib reads values and forgets their lines.

The document must be one that tomllib accepts. Under that condition the grammar needed to find
keys is small: strings and comments are skipped whole, and what is left has one meaning for each
of ``[ ] { } = , .``.
"""

from __future__ import annotations

import re
import tomllib
from typing import Final

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY_PART: Final = re.compile(r"[ \t]*([A-Za-z0-9_-]+|\"(?:[^\"\\\n]|\\.)*\"|'[^'\n]*')[ \t]*")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|\'\'\'.*?\'{3,5}|"(?:[^"\\\n]|\\.)*"|\'[^\'\n]*\'', re.DOTALL
)
_BARE: Final = re.compile(r"[^,\]}#\n]+")


class _Scanner:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._counted_to = 0
        self._line = 1
        self._lengths: dict[Path, int] = {}
        self.lines: dict[Path, int] = {}

    def document(self) -> None:
        table: Path = ()
        while self._skip_blank() < len(self._text):
            if self._take("["):
                table = self._header()
            else:
                self._key_and_value(table)

    def _skip_blank(self) -> int:
        self._at = self._match(_BLANK).end()
        return self._at

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        match = pattern.match(self._text, self._at)
        if match is None:
            raise ValueError(f"not TOML from character {self._at}")
        return match

    def _take(self, mark: str) -> bool:
        found = self._text.startswith(mark, self._at)
        self._at += len(mark) * found
        return found

    def _record(self, path: Path) -> None:
        self._line += self._text.count("\n", self._counted_to, self._at)
        self._counted_to = self._at
        self.lines.setdefault(path, self._line)

    def _key(self) -> list[str]:
        parts = []
        while True:
            match = self._match(_KEY_PART)
            parts.append(_unquoted(match[1]))
            self._at = match.end()
            if not self._take("."):
                return parts

    def _header(self) -> Path:
        is_array = self._take("[")
        parts = self._key()
        path = self._record_each((), parts[:-1])
        path = (*path, parts[-1])
        self._record(path)
        if is_array:
            path = self._next_element(path)
            self._record(path)
        self._at = self._text.index("]" * (1 + is_array), self._at) + 1 + is_array
        return path

    def _record_each(self, table: Path, parts: list[str]) -> Path:
        path = table
        for part in parts:
            path = (*path, part)
            self._record(path)
            if path in self._lengths:
                path = (*path, self._lengths[path] - 1)
        return path

    def _next_element(self, path: Path) -> Path:
        index = self._lengths.get(path, 0)
        self._lengths[path] = index + 1
        return (*path, index)

    def _key_and_value(self, table: Path) -> None:
        path = table
        for part in self._key():
            path = (*path, part)
            self._record(path)
        self._take("=")
        self._value(path)

    def _value(self, path: Path) -> None:
        self._skip_blank()
        if self._take("["):
            self._array(path)
        elif self._take("{"):
            self._inline_table(path)
        else:
            string = _STRING.match(self._text, self._at)
            self._at = (string or self._match(_BARE)).end()

    def _array(self, path: Path) -> None:
        index = 0
        self._skip_blank()
        while not self._take("]"):
            self._record((*path, index))
            self._value((*path, index))
            index += 1
            self._skip_blank()
            self._take(",")
            self._skip_blank()

    def _inline_table(self, path: Path) -> None:
        self._skip_blank()
        while not self._take("}"):
            self._key_and_value(path)
            self._skip_blank()
            self._take(",")
            self._skip_blank()


def _unquoted(part: str) -> str:
    if part[0] not in "\"'":
        return part
    value: str = tomllib.loads(f"key = {part}")["key"]
    return value


class Locator:
    """The line of every key and array element of one TOML document."""

    def __init__(self, text: str) -> None:
        """Index ``text``, which tomllib must accept.

        Raises:
            ValueError: ``text`` is not TOML.
        """
        scanner = _Scanner(text.replace("\r\n", "\n"))
        scanner.document()
        self._lines = scanner.lines

    def line(self, path: Path) -> int:
        """Return the line (from 1) of ``path``, or of its nearest enclosing key.

        ``path`` holds table keys as text and array positions as numbers. The empty path, and a
        path of which nothing is written, are at line 1.
        """
        for length in range(len(path), 0, -1):
            if path[:length] in self._lines:
                return self._lines[path[:length]]
        return 1
