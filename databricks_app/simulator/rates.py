"""The vendor's documented rate limits, counted over a sliding window.

Source: https://docs.customer.io/integrations/api/app/ and https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import math
from collections import defaultdict, deque

# Class: (calls, in so many seconds). Sends share the limit of the Pipelines API.
RATES: dict[str, tuple[int, float]] = {
    "default": (10, 1.0),
    "broadcast": (1, 10.0),
    "transactional": (3000, 3.0),
    "archive": (100, 86400.0),
}


class Rates:
    """Counts calls; not for several threads at once."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def wait_seconds(self, name: str, at: float) -> int | None:
        """Count a call; returns after how many seconds to try again if it is one too many.

        Args:
            name: The class.
            at: Seconds of any clock that does not go back.
        """
        limit, window = RATES[name]
        calls = self._calls[name]
        while calls and calls[0] <= at - window:
            calls.popleft()
        if len(calls) >= limit:
            return max(math.ceil(calls[0] + window - at), 1)
        calls.append(at)
        return None
