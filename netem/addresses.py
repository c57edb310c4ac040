"""The addresses of a lab: one for each concentrator, and from each address its link class.

The k-th concentrator of link class c has the address ``10.(c+1).0.0 + k + 1``: a class is one
prefix of sixteen bits, so one filter tells classes apart, and the lower half of the address tells
the concentrators of a class apart without a table.
"""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address
from typing import Final

import numpy as np
from numpy.typing import NDArray

HEAD_END_ADDRESS: Final = "172.31.255.1"
"""Where head-ends of a lab listen and what is dialled."""
FLEET_ADDRESS: Final = "172.31.255.2"
"""The fleet side's own end of the cable; concentrators have addresses of their own."""
CABLE_PREFIX: Final = "172.31.255.0/30"
FLEET_PREFIX: Final = "10.0.0.0/8"
MOST_CLASSES: Final = 255
MOST_OF_A_CLASS: Final = 65_534
"""Neither the first nor the last address of a class's prefix is given to a concentrator."""
_TEN: Final = 10 << 24


class AddressPlan:
    """Which concentrator has which address.

    Args:
        link_category: link class of each concentrator, uint8, in order of number; 0..254.

    Raises:
        ValueError: a class is 255, or one class has more than 65,534 concentrators.
    """

    def __init__(self, link_category: NDArray[np.uint8]) -> None:
        category = np.asarray(link_category, dtype=np.uint8)
        sizes = np.bincount(category, minlength=MOST_CLASSES + 1)
        if sizes[MOST_CLASSES]:
            raise ValueError(f"a lab has at most {MOST_CLASSES} link classes")
        if sizes.max() > MOST_OF_A_CLASS:
            crowded = int(sizes.argmax())
            raise ValueError(
                f"link class {crowded} has {sizes[crowded]:,} concentrators;"
                f" a lab has room for {MOST_OF_A_CLASS:,} of one class"
            )
        by_class = np.argsort(category, kind="stable")
        starts = np.concatenate(([0], np.cumsum(sizes)))
        rank = np.empty(len(category), dtype=np.int64)
        rank[by_class] = np.arange(len(category)) - starts[category[by_class]]
        self._category = category
        self._by_class = by_class
        self._starts = starts
        self._rank = rank
        upper = _TEN + ((category.astype(np.uint32) + 1) << 16)
        self._packed = (upper + rank + 1).astype(np.uint32)

    def __len__(self) -> int:
        return len(self._category)

    def address(self, number: int) -> str:
        """Return the dotted address of concentrator ``number`` (from 0)."""
        return str(IPv4Address(int(self._packed[number])))

    @property
    def packed(self) -> NDArray[np.uint32]:
        """The address of every concentrator as a number, in order of number."""
        return self._packed

    def number_of(self, address: str) -> int | None:
        """Return who has ``address``, or None: nobody has, or it is no address."""
        try:
            packed = int(IPv4Address(address))
        except AddressValueError:
            return None
        category, index = ((packed >> 16) & 0xFF) - 1, (packed & 0xFFFF) - 1
        if packed >> 24 != _TEN >> 24 or category < 0 or index < 0:
            return None
        if index >= self.size_of(category):
            return None
        return int(self._by_class[self._starts[category] + index])

    def prefix(self, category: int) -> str:
        """Return the prefix of link class ``category``, such as ``10.1.0.0/16``."""
        return f"10.{category + 1}.0.0/16"

    def index_in_class(self, number: int) -> int:
        """Return how many concentrators of the same class come before ``number``."""
        return int(self._rank[number])

    def category(self, number: int) -> int:
        """Return the link class of concentrator ``number``."""
        return int(self._category[number])

    def size_of(self, category: int) -> int:
        """Return how many concentrators are of link class ``category``."""
        return int(self._starts[category + 1] - self._starts[category])

    def numbers_of(self, category: int) -> NDArray[np.int64]:
        """Return the numbers of all concentrators of ``category``, in order of `index_in_class`."""
        return self._by_class[self._starts[category] : self._starts[category + 1]]
