"""Recorded runs as verbs are given them: is it one, and what to do where its record cannot be read.

Light: verbs look before they load what judging takes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness.errors import ENVIRONMENT_ERRORS, ArgumentsError

LATEST: Final = Path("runs/latest")
"""Where the newest run is unless ``--out`` said otherwise."""
RESOLVED: Final = "resolved.json"
"""What every recorded run has from its first moment."""

_GIVE: Final = f"give the folder of a run, such as {LATEST}; meterstorm run makes one"
_WHOLE: Final = "take the whole folder from where the run was made, or run the scenario again"
_MENDS: Final = {
    "run.json": "the run ended before its fleet began, or is about to: wait, or run the scenario "
    "again",
    "verdict.json": "make it again with: meterstorm check {folder}",
}
"""What mends a file of the record that is missing or damaged; `_WHOLE` the others."""


class UnreadableRunError(ArgumentsError):
    """A folder is no recorded run, or its record cannot be read.

    The message names the folder or the file and says what mends it.
    """


def recorded_folder(given: Path) -> Path:
    """Return the folder of a recorded run, absolute, links followed.

    Raises:
        UnreadableRunError: there is none.
    """
    if (given / RESOLVED).is_file():
        return given.resolve()
    if not given.exists():
        lacks = "there is no such folder"
    else:
        lacks = f"it has no {RESOLVED}" if given.is_dir() else "it is a file"
    meant = [near for near in (given / LATEST.name, given.parent) if (near / RESOLVED).is_file()]
    mend = f"did you mean {meant[0]}?" if meant else _GIVE
    raise UnreadableRunError(f"{given} is no recorded run: {lacks}; {mend}")


@contextmanager
def reading(folder: Path) -> Iterator[None]:
    """Read the record in ``folder`` within; what cannot be read is told with its mend.

    Raises:
        UnreadableRunError: a part of the record is missing or damaged.
        OSError: this machine cannot read anything just now.
    """
    from pydantic import ValidationError

    from reports.recording.errors import explain

    try:
        with telling_damage(folder):
            yield
    except OSError as error:
        if error.errno in ENVIRONMENT_ERRORS:
            raise
        raise _unreadable(folder, error) from error
    except KeyError as error:
        raise UnreadableRunError(f"{folder} cannot be read: it lacks {error}; {_WHOLE}") from error
    except ValueError as error:
        why = explain(error) if isinstance(error, ValidationError) else str(error)
        raise UnreadableRunError(f"{folder} cannot be read: {why}; {_WHOLE}") from error


@contextmanager
def telling_damage(folder: Path) -> Iterator[None]:
    """Tell a damaged part of the record with its mend; other errors are mistakes of ours.

    Raises:
        UnreadableRunError: a part of the record is not what it should be.
    """
    from reports.recording import RecordError

    try:
        yield
    except RecordError as error:
        raise UnreadableRunError(f"{error}; {_mend(folder, error.path)}") from error


def _unreadable(folder: Path, error: OSError) -> UnreadableRunError:
    if not isinstance(error.filename, str):
        return UnreadableRunError(f"{folder} cannot be read: {error}; {_WHOLE}")
    file = Path(error.filename)
    if isinstance(error, FileNotFoundError):
        where = file.relative_to(folder) if file.is_relative_to(folder) else file
        return UnreadableRunError(f"{folder} has no {where}; {_mend(folder, file)}")
    if isinstance(error, PermissionError):
        return UnreadableRunError(f"{file}: {error.strerror}; see that you may read and write it")
    return UnreadableRunError(f"{file} cannot be read: {error.strerror}; {_mend(folder, file)}")


def _mend(folder: Path, file: Path) -> str:
    return _MENDS.get(file.name, _WHOLE).format(folder=folder)
