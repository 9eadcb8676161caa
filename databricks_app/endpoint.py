"""The path of the webhook route, and which spellings of it are accepted.

Pure: every part of the receiver and of the relay that decides on a path asks here, so that all of
them decide the same.
"""

from __future__ import annotations

WEBHOOK_PATH = "/api/webhooks/customerio"

_SEGMENTS = WEBHOOK_PATH.strip("/").split("/")


def is_webhook_path(path: str) -> bool:
    """Whether a path means the webhook route.

    Customer.io waits an hour after a 404, so a slip in the configured address must not cause one:
    more slashes anywhere and upper case mean the same path. Everything else is another path, also
    what some servers would resolve: `.` and `..` segments, `;` parameters, white space.

    Args:
        path: Without the query, percent-encoding decoded once. An encoded slash is a slash by
            then; what was encoded twice is another path.
    """
    if path == WEBHOOK_PATH:
        return True
    # `lower` turns some other letters into ASCII ones, as the Kelvin sign into k.
    return path.isascii() and [one for one in path.lower().split("/") if one] == _SEGMENTS
