"""How records are declared: fields that a configuration leaves out keep their place.

An absent field is a padding of no octets, so that element indexes can count it (`TableOptions`),
while parsing, building, lowering and sizes do not notice it.
"""

from __future__ import annotations

from typing import cast

from construct import Padding, Struct

from protocols.c12.tables.formats.field import Declaration


def record(*fields: Declaration) -> Declaration:
    """Return a packed record of ``fields`` in their order."""
    declared: Declaration = Struct(*fields)
    return declared


def present(condition: object, name: str, declaration: Declaration | None) -> Declaration:
    """Return the field ``name``, or its empty place when the configuration leaves it out."""
    if not condition or declaration is None:
        return absent()
    named: Declaration = name / declaration
    return named


def absent() -> Declaration:
    """Return the empty place of a field that is left out."""
    return cast("Declaration", Padding(0))
