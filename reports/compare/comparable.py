"""Whether two runs can be compared at all: what differs between what they were asked, and where.

Who asks another thing, or asks it elsewhere, gets another answer: such a difference refuses the
comparison unless it is allowed by name. What the system under test is, and by which limits it was
judged, may differ: that is what is compared, or does not change what is measured; it is noted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from reports.compare.subject import Subject

__all__ = ["Difference", "differences"]

_NOTED: Final = (
    *("name", "description", "target", "checks", "limits", "capture", "probes"),
    *("machine.system", "machine.memory", "machine.descriptors", "versions"),
)
_TARGET_KIND: Final = "target.kind"


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that differs; None: only the other run has it. ``refuses``: they are no pair."""

    key: str
    before: str | None
    after: str | None
    refuses: bool


def differences(before: Subject, after: Subject, allowed: Collection[str]) -> list[Difference]:
    """Return what differs, what refuses the comparison first.

    ``allowed`` names keys whose differences do not refuse, with all that lies below them: "seed",
    "machine", "machine.processor", "grid.links".
    """
    one, other = _facts(before), _facts(after)
    aged = one.get("versions.meterstorm") != other.get("versions.meterstorm")
    found: list[Difference] = []
    was_asked_alike = True
    for key in sorted(one.keys() | other.keys()):
        first, second = one.get(key), other.get(key)
        if first == second:
            continue
        # An older build does not know a key, so it did what the newer one's default says.
        is_unknown = aged and _unknown(key, one, other)
        is_noted = is_unknown or (key != _TARGET_KIND and _below(key, _NOTED))
        was_asked_alike &= is_noted
        found.append(Difference(key, first, second, not is_noted and not _below(key, allowed)))
    if before.owed != after.owed and was_asked_alike:
        told = (str(before.owed), str(after.owed))
        found.append(Difference("readings.owed", *told, not _below("readings.owed", allowed)))
    return sorted(found, key=lambda difference: not difference.refuses)


def _facts(subject: Subject) -> dict[str, str]:
    return (
        subject.asked
        | {f"machine.{key}": value for key, value in subject.machine.items()}
        | {f"versions.{key}": value for key, value in subject.versions.items()}
    )


def _below(key: str, names: Collection[str]) -> bool:
    return any(key == name or key.startswith(f"{name}.") for name in names)


def _unknown(key: str, one: Mapping[str, str], other: Mapping[str, str]) -> bool:
    """Say whether only one run has ``key`` and it is no item of a list that the other lacks."""
    is_item = any(part.isdigit() for part in key.split("."))
    return (key in one) != (key in other) and not is_item
