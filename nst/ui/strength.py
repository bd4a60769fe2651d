"""The one slider of a newcomer: strength s, from 0 to 100, is beta on a logarithmic scale, beta = alpha * 10^(s / 50).

In the browser, where the controls answer at once, and here, for settings that come from elsewhere.
"""

from __future__ import annotations

import math

DEFAULT = 50  # of alpha 1 and beta 10
MOST_BETA = 100  # of the page's control
LEAST_ALPHA = 0.1  # below, strength would run away

BETA_OF_STRENGTH = "(s, alpha) => Math.round(10 * Math.min(100, Math.max(alpha, 0.1) * 10 ** (s / 50))) / 10"
STRENGTH_OF_BETA = """(alpha, beta) =>
    Math.round(Math.min(100, Math.max(0, 50 * Math.log10(Math.max(beta, 0.01) / Math.max(alpha, 0.1)))))"""


def beta_of(strength: float, alpha: float) -> float:
    """beta for a strength from 0 to 100, to one decimal."""
    return round(min(MOST_BETA, max(alpha, LEAST_ALPHA) * 10 ** (strength / 50)), 1)


def strength_of(alpha: float, beta: float) -> int:
    """Where the slider stands for these weights, from 0 to 100."""
    return round(min(100, max(0, 50 * math.log10(max(beta, 0.01) / max(alpha, LEAST_ALPHA)))))
