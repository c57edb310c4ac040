"""Telling a model which of its readings leave on the link: together, before they do."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from protocols.c12.meter.relay_captures import rows_of
from protocols.plugin import ConcentratorModel
from protocols.readings import ReadingBatch


class HandedOver:
    """Readings that are about to leave; say `tell` before they do."""

    def __init__(self, model: ConcentratorModel) -> None:
        self._model = model
        self._parts: dict[int, tuple[ReadingBatch, list[int]]] = {}

    def add(self, readings: ReadingBatch, rows: Iterable[int]) -> None:
        """Note that these rows of ``readings`` leave."""
        self._parts.setdefault(id(readings), (readings, []))[1].extend(rows)

    def tell(self) -> None:
        """Tell the model of all that were noted since the last time."""
        if not self._parts:
            return
        parts = [rows_of(batch, np.array(rows, np.intp)) for batch, rows in self._parts.values()]
        self._parts.clear()
        self._model.handed_over(
            ReadingBatch(
                parts[0].concentrator,
                np.concatenate([part.meter_ids for part in parts]),
                np.concatenate([part.captured_at_s for part in parts]),
                np.concatenate([part.status for part in parts]),
                np.concatenate([part.values for part in parts]),
            )
        )
