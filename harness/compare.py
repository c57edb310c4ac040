"""`meterstorm compare`: recorded runs held against each other, or against a stored baseline."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import typer

from emulator.run_folder import RunFolder
from harness.check.latency import merged_latencies
from harness.check.recorded import SUMMARY, told_by_file
from harness.errors import ArgumentsError, ExitCode
from harness.recorded_folder import reading, recorded_folder
from harness.run.facts import FACTS_FILE, RunFacts
from reports.compare import (
    Comparison,
    Outcome,
    Rules,
    Subject,
    compare,
    load_baseline,
    parse_share,
    save_baseline,
    subject_of,
)
from reports.compare.document import render_comparison as as_json
from reports.compare.markdown import render_comparison as as_markdown
from reports.compare.quantiles import DECODE_ERRORS
from reports.compare.terminal import print_comparison
from reports.recording import RecordError, RunRecord

EXIT_CODES: Final = {
    Outcome.SAME: ExitCode.PASSED,
    Outcome.BETTER: ExitCode.PASSED,
    Outcome.WORSE: ExitCode.FAILED,
    Outcome.CANNOT_TELL: ExitCode.INCONCLUSIVE,
}


class Format(StrEnum):
    """How a comparison is told."""

    TERMINAL = "terminal"
    MARKDOWN = "markdown"
    JSON = "json"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What was asked for: noise as on the command line, keys that may differ, and the form."""

    noise: Sequence[str] = ()
    allowed: Sequence[str] = ()
    form: Format = Format.TERMINAL


def compare_runs(
    folders: Sequence[Path], wanted: Wanted, *, baseline: Path | None, save: Path | None
) -> ExitCode:
    """Do what ``meterstorm compare`` was asked for and return what came out.

    Args:
        folders: of recorded runs.
        wanted: how.
        baseline: file to hold the one run against.
        save: file to keep the runs in instead.

    Raises:
        ArgumentsError: that makes no sense, or a record or the baseline cannot be read.
    """
    if save is not None and baseline is not None:
        raise ArgumentsError("--baseline and --save-baseline exclude each other")
    needed = 1 if save or baseline else 2
    if len(folders) < needed or (save is None and len(folders) > needed):
        raise ArgumentsError(
            "compare takes two runs, with --baseline one, with --save-baseline one or more; "
            f"{len(folders)} given"
        )
    noise = _noise(wanted.noise)
    try:
        if save is not None:
            return _save(save, [_subject(folder) for folder in folders], noise, wanted)
        known, before = {}, [_subject(folder) for folder in folders[:-1]]
        if baseline is not None:
            stored = load_baseline(baseline)
            known, before = dict(stored.shares()), list(stored.runs)
        rules = Rules(known | _shares(noise), tuple(wanted.allowed))
        found = compare(before, _subject(folders[-1]), rules)
    except (RecordError, OSError) as error:
        raise ArgumentsError(str(error)) from error
    _tell(found, wanted.form)
    return EXIT_CODES[found.outcome]


def _save(
    path: Path, subjects: Sequence[Subject], noise: Mapping[str, str], wanted: Wanted
) -> ExitCode:
    """Keep runs as a baseline, unless one of them proves nothing or is no run of the same."""
    rules = Rules(_shares(noise), tuple(wanted.allowed))
    for subject in subjects:
        found = compare(subjects[:1], subject, rules)
        if found.outcome is Outcome.CANNOT_TELL:
            reasons = "; ".join(found.reasons)
            typer.echo(f"meterstorm: {subject.run} is not fit for a baseline: {reasons}", err=True)
            return ExitCode.INCONCLUSIVE
    save_baseline(path, subjects, noise)
    typer.echo(str(path))
    return ExitCode.PASSED


def _noise(words: Sequence[str]) -> dict[str, str]:
    """Return shares as written, by pattern; a bare share is for every figure that has noise."""
    noise: dict[str, str] = {}
    for word in words:
        pattern, equals, text = word.rpartition("=")
        try:
            parse_share(text)
        except ValueError as error:
            raise ArgumentsError(f"--noise: {error}") from None
        noise[pattern.strip() if equals else "*"] = text.strip()
    return noise


def _shares(noise: Mapping[str, str]) -> dict[str, float]:
    return {pattern: parse_share(text) for pattern, text in noise.items()}


def _subject(folder: Path) -> Subject:
    path = recorded_folder(folder)
    with reading(path):
        return subject_of(RunRecord.load(path), _by_link(path))


def _by_link(path: Path) -> dict[tuple[str, str], Any]:
    """Return the latencies of each series over each link class, as fleet and head-end told them.

    Raises:
        OSError, RecordError, ValueError: what they told is missing or damaged.
    """
    told: list[dict[str, str]] = []
    for file in sorted(RunFolder(path).ledger.glob(f"shard-*/{SUMMARY}")):
        with told_by_file(file):
            told += json.loads(file.read_text())["latencies"]
    if (path / FACTS_FILE).is_file():
        with told_by_file(path / FACTS_FILE):
            told += RunFacts.load(path).latencies
    try:
        return merged_latencies(told)
    except DECODE_ERRORS as error:
        raise ValueError(f"the latencies by link: {error}") from error


def _tell(found: Comparison, form: Format) -> None:
    match form:
        case Format.TERMINAL:
            print_comparison(found)
        case Format.MARKDOWN:
            typer.echo(as_markdown(found), nl=False)
        case Format.JSON:
            typer.echo(as_json(found), nl=False)
