"""Published data of survival analysis."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

Sample = tuple[NDArray[np.float64], NDArray[np.bool_]]


def sample(times: Sequence[float], censored: Collection[int] = ()) -> Sample:
    """Times and which of them are events; `censored` are places in the list."""
    return np.array(times, dtype=float), np.array([place not in censored for place in range(len(times))], dtype=bool)


# Freireich and others, Blood 21 (1963): weeks of remission with 6-mercaptopurine and with placebo
SIX_MP = sample(
    [6, 6, 6, 6, 7, 9, 10, 10, 11, 13, 16, 17, 19, 20, 22, 23, 25, 32, 32, 34, 35],
    {3, 5, 7, 8, 11, 12, 13, 16, 17, 18, 19, 20},
)
PLACEBO = sample([1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23])

# Mehta and Patel, StatXact manual, lung cancer clinical trial: days of survival with a new drug and without
NEW_DRUG = sample([257, 476, 355, 1779, 355], {0, 1, 4})
CONTROL = sample([191, 563, 242, 285, 16, 16, 16, 257, 16])

# Callaert, The American Statistician 57 (2003), table 1
CALLAERT_0 = sample([1, 1, 5, 6, 6, 6, 6])
CALLAERT_1 = sample([2, 2, 2, 3, 4, 4, 5, 5])
