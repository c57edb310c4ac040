"""Latency histograms of the fleet, brought into the form of the record."""

from __future__ import annotations

from typing import Any

import numpy as np
from hdrh.histogram import HdrHistogram
from numpy.ctypeslib import as_array

from reports.recording import new_histogram


def recorded(encoded: str) -> Any:  # noqa: ANN401 - hdrhistogram has no types
    """Return an encoded histogram in the range that the record uses."""
    return _counted(HdrHistogram.decode(encoded), 0)


def gained(encoded: str, before: str) -> Any:  # noqa: ANN401
    """Return what a histogram has gained since ``before``, an earlier state of the same one."""
    return _counted(HdrHistogram.decode(encoded), as_array(HdrHistogram.decode(before).counts))


def _counted(histogram: Any, less: Any) -> Any:  # noqa: ANN401
    whole = new_histogram()
    # The library walks all buckets in Python, empty ones too: 30 ms for each histogram.
    counts = as_array(histogram.counts).astype(np.int64) - less
    for index in np.flatnonzero(counts).tolist():
        whole.record_value(max(1, histogram.get_value_from_index(index)), int(counts[index]))
    return whole
