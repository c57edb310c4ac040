"""A scenario as written: the file, what the command line changes of it, and where each key is."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any, Final

from harness.errors import Problem, ScenarioError
from harness.locate import Locator, Path
from harness.nearest import nearest

_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_SYNTAX_LINE: Final = re.compile(r" \(at line ([0-9]+), column [0-9]+\)$")


def dotted(path: Path) -> str:
    """Return ``path`` as TOML writes it, with list positions as numbers: ``timeline.0.at``."""
    return ".".join(
        part if isinstance(part, str) and _BARE_KEY.fullmatch(part) else _quoted(part)
        for part in path
    )


def _quoted(part: str | int) -> str:
    return str(part) if isinstance(part, int) else f'"{part}"'


@dataclass(frozen=True, slots=True)
class Document:
    """The values of one scenario and where each was written."""

    file: str
    values: dict[str, Any]
    locator: Locator
    overridden: dict[Path, str] = field(default_factory=dict)

    @property
    def folder(self) -> FilePath:
        """The folder at which relative paths of the scenario start."""
        return FilePath(self.file).parent

    def written(self, path: Path) -> object:
        """Return the value written at ``path``, or None where nothing is."""
        value: Any = self.values
        for part in path:
            if isinstance(part, int):
                value = value[part] if isinstance(value, list) and part < len(value) else None
            else:
                value = value.get(part) if isinstance(value, dict) else None
        return value

    def problem(self, path: Path, message: str, nearest: str | None = None) -> Problem:
        """Return ``message`` with the place where ``path`` was written, in file or override."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.overridden:
                return Problem(self.overridden[path[:length]], None, dotted(path), message, nearest)
        return Problem(self.file, self.locator.line(path), dotted(path), message, nearest)


def read_document(
    file: FilePath, overrides: Iterable[str] = (), seed: int | None = None
) -> Document:
    """Read the TOML ``file`` and apply ``overrides`` (``KEY=VALUE``) and ``seed`` to it.

    Raises:
        ScenarioError: the file is missing, unreadable or no TOML, or an override makes no sense.
    """
    text = _text(file)
    document = Document(str(file), _values(file, text), Locator(text))
    problems = [problem for override in overrides for problem in _override(document, override)]
    if problems:
        raise ScenarioError(tuple(problems))
    if seed is not None:
        document.values["seed"] = seed
        document.overridden[("seed",)] = "--seed"
    return document


def _text(file: FilePath) -> str:
    try:
        return file.read_bytes().decode().replace("\r\n", "\n")
    except OSError as error:
        reason = f"cannot be read: {(error.strerror or str(error)).lower()}"
        raise ScenarioError((Problem(str(file), None, "", reason, _neighbour(file)),)) from None
    except UnicodeDecodeError as error:
        line = 1 + error.object.count(b"\n", 0, error.start)
        raise ScenarioError((Problem(str(file), line, "", "is not UTF-8 text"),)) from None


def _neighbour(file: FilePath) -> str | None:
    names = (path.name for path in file.parent.glob("*.toml") if path != file)
    meant = nearest(file.name, names)
    return None if meant is None else str(file.with_name(meant))


def _values(file: FilePath, text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        place = _SYNTAX_LINE.search(str(error))
        line = int(place[1]) if place else 1 + text.count("\n")
        message = _SYNTAX_LINE.sub("", str(error)).replace(" (at end of document)", "")
        raise ScenarioError((Problem(str(file), line, "", f"not TOML: {message}"),)) from None


def _override(document: Document, text: str) -> list[Problem]:
    source = f"--set {text}"
    try:
        parts, value = _parsed(text)
        path = _put(document.values, parts, value)
    except ValueError as error:
        return [Problem(source, None, "", str(error))]
    document.overridden[path] = "--set"
    return []


def _parsed(text: str) -> tuple[list[str], object]:
    key, equals, value_text = _split(text)
    if not equals:
        raise ValueError('write KEY=VALUE, such as "speed=60"')
    try:
        return key, tomllib.loads(f"value = {value_text}")["value"]
    except tomllib.TOMLDecodeError:
        # A shell eats the quotes of "50 ms"; what is no TOML value is taken as text.
        return key, value_text.strip()


def _split(text: str) -> tuple[list[str], str, str]:
    # A quoted key may hold "=": the key is the shortest left part that TOML takes as one.
    for equals in (match.start() for match in re.finditer("=", text)):
        try:
            table = tomllib.loads(f"{text[:equals]} = 0")
        except tomllib.TOMLDecodeError:
            continue
        return _only_path(table), "=", text[equals + 1 :]
    return [], "", ""


def _only_path(table: dict[str, Any]) -> list[str]:
    path = []
    inner: Any = table
    while isinstance(inner, dict):
        ((key, inner),) = inner.items()
        path.append(key)
    return path


def _put(values: dict[str, Any], parts: list[str], value: object) -> Path:
    container: Any = values
    path: Path = ()
    for depth, part in enumerate(parts):
        key = _position(container, part, path)
        path = (*path, key)
        if depth == len(parts) - 1:
            container[key] = value
        else:
            container = container[key] if isinstance(key, int) else container.setdefault(key, {})
    return path


def _position(container: Any, part: str, path: Path) -> str | int:  # noqa: ANN401
    if isinstance(container, dict):
        return part
    if not isinstance(container, list):
        raise ValueError(f"{dotted(path)} is no table")
    if not part.isdecimal() or int(part) >= len(container):
        raise ValueError(f"{dotted(path)} has {len(container)} elements, counted from 0")
    return int(part)
