"""Who speaks what: the scenario's ``protocol`` and ``grid.protocols`` say one thing.

Either may be left out. The word alone gives the shares; the shares alone give the word; both
together must agree.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Final

from pydantic import ValidationError
from pydantic_core import InitErrorDetails

from emulator.grid_parameters import ProtocolShares
from emulator.parameters import WHOLE_PPM
from harness.scenario.base import complaint

if TYPE_CHECKING:
    from harness.scenario.model import Scenario

_SHARES: Final = {
    "dlms": {"dlms": "100 %", "c12": "0 %"},
    "c12": {"dlms": "0 %", "c12": "100 %"},
    "mix": {"dlms": "50 %", "c12": "50 %"},
}


def with_protocols(values: object) -> object:
    """Return the ``values`` of a scenario with what one of the two keys tells of the other.

    Values that are no scenario are returned as they are: others find out what is wrong with them.
    """
    if not isinstance(values, Mapping) or not isinstance(values.get("grid"), Mapping):
        return values
    grid: Mapping[str, Any] = values["grid"]
    if "protocols" in grid:
        word = _word(grid["protocols"])
        return values if "protocol" in values or word is None else {**values, "protocol": word}
    shares = _SHARES.get(str(values.get("protocol", "dlms")))
    return values if shares is None else {**values, "grid": {**grid, "protocols": shares}}


def _word(written: object) -> str | None:
    try:
        return word_of(ProtocolShares.model_validate(written))
    except ValidationError:
        return None


def word_of(shares: ProtocolShares) -> str:
    """Return what a scenario whose concentrators speak in these shares calls its protocol."""
    if shares.c12 in (0, WHOLE_PPM):
        return "c12" if shares.c12 else "dlms"
    return "mix"


def contradictions(scenario: Scenario) -> Iterator[InitErrorDetails]:
    """Yield where ``protocol`` and ``grid.protocols`` of a scenario disagree."""
    shares, word = scenario.grid.protocols, scenario.protocol
    if word_of(shares) != word:
        says = f"{shares.dlms / 10_000:g} % dlms and {shares.c12 / 10_000:g} % c12"
        message = f'{says} is not protocol "{word}"; leave one of the two keys out'
        yield complaint(("grid", "protocols"), None, message)
