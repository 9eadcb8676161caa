"""The vendor's documented rate limits, each with a sliding window.

Source: https://docs.customer.io/integrations/api/app/ and https://docs.customer.io/integrations/api/cdp/
"""

from __future__ import annotations

import math
from collections import defaultdict, deque

# Class of calls: (maximum calls, length of the window in seconds). Transactional sends share the
# limit of the Pipelines API.
RATES: dict[str, tuple[int, float]] = {
    "default": (10, 1.0),
    "broadcast": (1, 10.0),
    "transactional": (3000, 3.0),
    "archive": (100, 86400.0),
}


class Rates:
    """Counts calls. Not safe to share between threads without a lock."""

    def __init__(self) -> None:
        self._calls: dict[str, deque[float]] = defaultdict(deque)

    def wait_seconds(self, name: str, at: float) -> int | None:
        """Count a call; returns None, or the seconds to wait if the call is over the limit.

        Args:
            name: The class of the call.
            at: Seconds of any clock that never goes back.
        """
        limit, window = RATES[name]
        calls = self._calls[name]
        while calls and calls[0] <= at - window:
            calls.popleft()
        if len(calls) >= limit:
            return max(math.ceil(calls[0] + window - at), 1)
        calls.append(at)
        return None
