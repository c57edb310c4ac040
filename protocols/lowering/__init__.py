"""construct declares, lowering runs.

Every wire format is declared once, in construct. `lower` turns a declaration into generated Python
over precompiled `struct.Struct`; `lower_to_dtype` turns a declaration of fixed size into a numpy
dtype with a mask of its constants. The interpreter stays the judge: whatever the fast code does
not accept goes to it, so that errors and oddities are construct's own, and property tests prove
interpreter, compiled, lowered and numpy equal.
"""

from protocols.lowering.codec import Codec, lower
from protocols.lowering.layout import FixedLayout, lower_to_dtype
from protocols.lowering.plan import NotLowerable

__all__ = ["Codec", "FixedLayout", "NotLowerable", "lower", "lower_to_dtype"]
