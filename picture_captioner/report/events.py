"""Where one event ends and the next begins: adaptive gaps in capture time.

J. C. Platt, M. Czerwinski, B. A. Field, "PhotoTOC: Automatic Clustering for Browsing Personal
Photographs", IEEE Pacific Rim Conference on Multimedia 2003. Gap g_N begins an event if

    log g_N  >=  K + mean of log g_i over the gaps i = N-d ... N+d,  K = log 17, d = 10

with the gaps beyond either end left out of the mean.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

THRESHOLD = math.log(17)
WINDOW = 10

SHORTEST_GAP = 60.0
"""Seconds; smaller gaps count as this one. The paper's rule alone would end an event 17 s after a
burst of one photo per second; so nothing under 17 minutes ends one."""

LONGEST_GAP = 12 * 3600.0
"""Seconds; larger ones count as this one and always begin an event. The paper's rule alone finds
no events at all in a library with a photo a month."""


def event_starts(seconds: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Of n times in ascending order, which are the first of an event; the first one is."""
    starts = np.zeros(len(seconds), dtype=np.bool_)
    starts[:1] = True
    gaps = np.diff(seconds)
    if len(gaps):
        logs = np.log(np.clip(gaps, SHORTEST_GAP, LONGEST_GAP))
        starts[1:] = (logs >= THRESHOLD + _local_mean(logs)) | (gaps >= LONGEST_GAP)
    return starts


def _local_mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each value's neighbourhood of `WINDOW` to both sides, cut at the ends."""
    summed = np.concatenate(([0.0], np.cumsum(values)))
    index = np.arange(len(values))
    low = np.maximum(index - WINDOW, 0)
    high = np.minimum(index + WINDOW + 1, len(values))
    return np.asarray((summed[high] - summed[low]) / (high - low), dtype=np.float64)
