"""What clients asked of the systems beside the head-end, and how often they got it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Final

from harness.check.recorded import RecordedRun
from harness.load.clients.config import CONFIG_NAME, ClientsConfig
from harness.load.clients.summary import LOAD_FOLDER
from reports.recording import FailureCause, OperationFigures

CLIENTS: Final = "clients"
_REFUSED: Final = re.compile("answered 4(?!08|29)[0-9][0-9]")
"""How a client words that the reason lies in its request; timeouts and overload do not."""
_FAILED: Final = ".failed: "


def operation_figures(run: RecordedRun) -> tuple[OperationFigures, ...]:
    """Return the account of each operation; nothing where nobody asks anything."""
    path = run.folder.path / LOAD_FOLDER / CONFIG_NAME
    if not path.is_file():
        return ()
    config = ClientsConfig.model_validate_json(path.read_bytes())
    counts = _counts(run)
    return tuple(
        OperationFigures(
            name=operation.name,
            system=operation.system,
            asked=counts[f"{operation.name}.answered"] + counts[f"{operation.name}.failed"],
            answered=counts[f"{operation.name}.answered"],
            refused=(refused := _refused(counts, operation.name)),
            failed=counts[f"{operation.name}.failed"] - refused,
            lasted_s=max(0.0, config.span_s - operation.begins_s),
        )
        for operation in config.operations
    )


def operation_measurements(operations: Sequence[OperationFigures]) -> dict[str, float]:
    """Return what is counted of each operation, by the name of its measure."""
    return {
        f"{operation.name}.{name}": getattr(operation, name)
        for operation in operations
        for name in ("asked", "refused", "failed")
    }


def operation_failures(run: RecordedRun) -> Iterator[FailureCause]:
    """Yield why requests were not answered as they should be."""
    for name, count in _counts(run).items():
        if _FAILED in name:
            yield FailureCause(cause=name, where=CLIENTS, count=count)


def operation_notes(operations: Sequence[OperationFigures]) -> Iterator[str]:
    """Yield what to know before believing the latencies of operations."""
    for operation in operations:
        if operation.failed:
            yield (
                f"{operation.failed:,} of {operation.asked:,} requests ({operation.name}) failed; "
                "its latencies are those of the others."
            )


def _counts(run: RecordedRun) -> Counter[str]:
    counts: Counter[str] = Counter()
    for summary in run.client_summaries():
        counts.update(summary["counts"])
    return counts


def _refused(counts: Counter[str], operation: str) -> int:
    begin = f"{operation}{_FAILED}"
    return sum(
        count
        for name, count in counts.items()
        if name.startswith(begin) and _REFUSED.fullmatch(name.removeprefix(begin))
    )
