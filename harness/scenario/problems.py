"""What pydantic found wrong with a scenario, said in the words and places of its file.

The JSON Schema is the map: it knows the valid keys of every place, and which parts of pydantic's
location name a member of a union and not a key.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from harness.errors import Problem, ScenarioError
from harness.locate import Path
from harness.nearest import nearest
from harness.scenario.document import Document
from netem.units import BIT_RATE, BYTE_SIZE, DURATION_S, ENERGY_WH, SHARE_PPM

Schema = Mapping[str, Any]
MISSING: Final = "is missing"
_BOUNDS: Final = {
    "greater_than": "gt",
    "greater_than_equal": "ge",
    "less_than": "lt",
    "less_than_equal": "le",
}
_PLAINLY: Final = {
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
}
_NUMBERS: Final = (bool, int, float)


def explain(error: ValidationError, schema: Schema, document: Document) -> ScenarioError:
    """Return everything in ``error`` as problems of ``document``, in the order of its lines."""
    found = dict.fromkeys(_problem(details, schema, document) for details in _roots(error.errors()))
    misspelt = {_beside(problem.key, problem.nearest) for problem in found if problem.nearest}
    # A key that is missing because it is misspelt is one mistake, not two.
    kept = (
        problem for problem in found if problem.message != MISSING or problem.key not in misspelt
    )
    return ScenarioError(tuple(sorted(kept, key=lambda problem: problem.line or 0)))


def _roots(errors: Sequence[ErrorDetails]) -> Iterator[ErrorDetails]:
    # A list with a bad element is also reported as one that is too short.
    for details in errors:
        depth = len(details["loc"])
        inner = (other["loc"] for other in errors if len(other["loc"]) > depth)
        if details["type"] != "too_short" or details["loc"] not in {loc[:depth] for loc in inner}:
            yield details


def _beside(key: str, sibling: str) -> str:
    return ".".join([*key.split(".")[:-1], sibling])


def _problem(details: ErrorDetails, schema: Schema, document: Document) -> Problem:
    path, siblings = _place(details["loc"], schema)
    context = details.get("ctx", {})
    match details["type"]:
        case "extra_forbidden":
            meant = nearest(str(path[-1]), siblings)
            listed = "" if meant else f"; valid here: {', '.join(siblings)}"
            return document.problem(path, f"unknown key{listed}", meant)
        case "missing":
            return document.problem(path, MISSING)
        case "union_tag_not_found":
            return document.problem((*path, _tag(context)), MISSING)
        case "union_tag_invalid":
            expected = str(context["expected_tags"])
            meant = nearest(str(context["tag"]), expected.replace("'", "").split(", "))
            return document.problem((*path, _tag(context)), f"must be one of {expected}", meant)
        case "literal_error" | "enum":
            valid = str(context["expected"])
            words = valid.replace(" or ", ", ").replace("'", "").split(", ")
            return document.problem(path, f"must be {valid}", nearest(str(details["input"]), words))
        case "scenario":
            return document.problem(path, context["message"], context["nearest"])
    message = _sentence(details, document.written(path))
    return document.problem((*path, *_named_in(message, details["input"])), message)


def _tag(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _sentence(details: ErrorDetails, written: object) -> str:
    message = _PLAINLY.get(details["type"], details["msg"]).removeprefix("Value error, ")
    message = re.sub(r"^(Input|String|List|Tuple) should ", "must ", message)
    bound = details.get("ctx", {}).get(_BOUNDS.get(details["type"], ""))
    if isinstance(bound, _NUMBERS) and isinstance(written, str):
        # A quantity: the bound is one of its base unit, and shares are counted in millionths.
        bounded = re.sub(r"[-0-9.]+$", _in_units_of(written, bound), message)
        return f"{bounded}, not {written}"
    # Other text is not repeated: it may be a URL with a password.
    is_shown = message.startswith("must") and isinstance(written, _NUMBERS)
    return f"{message}, not {json.dumps(written)}" if is_shown else message


def _in_units_of(written: str, bound: float) -> str:
    unit = written.lstrip("-+0123456789_. ")
    if unit in SHARE_PPM:
        return f"{bound / float(SHARE_PPM['%']):g} %"
    base = next(
        (table for table in (DURATION_S, ENERGY_WH, BIT_RATE, BYTE_SIZE) if unit in table), {}
    )
    return " ".join([f"{bound:g}", *(name for name, factor in base.items() if factor == 1)])


def _named_in(message: str, table: object) -> tuple[str, ...]:
    # What is wrong with a table as a whole, such as a sum of shares, stands at the key it names.
    keys = table if isinstance(table, dict) else ()
    return tuple(word for word in re.findall(r"\w+", message) if word in keys)[:1]


def _place(location: tuple[int | str, ...], schema: Schema) -> tuple[Path, list[str]]:
    """Return the path in the file and the valid keys beside its last part."""
    path: Path = ()
    places = list(_alternatives(schema, schema))
    siblings: list[str] = []
    for depth, part in enumerate(location, 1):
        inner = [found for place in places for found in _step(place, part, schema)]
        chosen = [place for place in places if _is_called(place, part)]
        # A key may be called like its table (do = "event", event = ...): then the table comes
        # first, and only what we say ourselves of the key leaves the table out.
        if chosen and not (inner and depth == len(location)):
            places = chosen
            continue
        siblings = sorted({key for place in places for key in place.get("properties", {})})
        path = (*path, part)
        places = inner
    return path, siblings


def _alternatives(node: Schema, root: Schema) -> Iterator[Schema]:
    if "$ref" in node:
        yield from _alternatives(root["$defs"][node["$ref"].rsplit("/", 1)[1]], root)
    for choice in ("oneOf", "anyOf", "allOf"):
        for inner in node.get(choice, ()):
            yield from _alternatives(inner, root)
    yield node


def _step(place: Schema, part: int | str, root: Schema) -> Iterator[Schema]:
    if isinstance(part, int):
        inner = place.get("items")
    else:
        inner = place.get("properties", {}).get(part, place.get("additionalProperties"))
    if isinstance(inner, Mapping):
        yield from _alternatives(inner, root)


def _is_called(place: Schema, part: int | str) -> bool:
    return any(inner.get("const") == part for inner in place.get("properties", {}).values())
