"""What a workspace and a warehouse may do, and what `/readyz` says of it.

Not a test module.
"""

from __future__ import annotations

from typing import Any

FaultCase = tuple[str, dict[str, Any], str]
"""An action of the double, how, and a pattern of what `/readyz` says of it."""

PUT = {"operation": "files.put", "path": r"/(inbox|probe)/"}
STAGE = {"operation": "files.put", "path": "/staging/"}
READ = {"operation": "files.get", "path": "/inbox/"}
MAY_NOT_WRITE = (
    r"no permission to write into the volume main\.cio\.events: grant READ VOLUME and WRITE VOLUME"
)
MAY_NOT_READ = (
    r"no permission to read the volume main\.cio\.events: grant READ VOLUME and WRITE VOLUME"
)
FULL = r"the volume main\.cio\.events takes no more data \(HTTP 507\): raise its quota"
NO_ANSWER = r"the workspace http://\S+ does not answer"
WAY = "check DATABRICKS_HOST, the network and the status page of Databricks"
RECEIVER: dict[str, FaultCase] = {
    "full": ("full", PUT, FULL),
    "denied": ("denied", PUT, MAY_NOT_WRITE),
    "volume gone": ("missing", PUT, r"main\.cio\.events does not exist: CREATE VOLUME main\.cio"),
    "throttled": (
        "throttled",
        PUT,
        r"limits the rate of our calls \(HTTP 429\): if this continues, see who else uses it",
    ),
    "unavailable": (
        "unavailable",
        PUT,
        r"busy or has a fault \(HTTP 503\): if this continues, see the status page of Databricks",
    ),
    "failing": ("error", PUT, r"busy or has a fault \(HTTP 500\)"),
    "token refused": (
        "expired",
        PUT,
        r"refuses our token: check the credentials .*\(DATABRICKS_CLIENT_ID, ",
    ),
    "reset before": (
        "reset_before",
        PUT,
        rf"{NO_ANSWER}, the connection was interrupted .*: {WAY}",
    ),
    "answer lost": ("reset_after", PUT, rf"{NO_ANSWER}, the connection was interrupted .*: {WAY}"),
    "silent": ("hang_after", {**PUT, "seconds": 8}, rf"{NO_ANSWER}, the call timed out .*: {WAY}"),
}
CONFLICT = "[DELTA_CONCURRENT_APPEND] Files were added by a concurrent update. SQLSTATE: 2D521"
DENIED = (
    "[INSUFFICIENT_PERMISSIONS] User does not have MODIFY on Table 'main.cio.webhook_raw_events'."
)
INTERNAL = "[INTERNAL_ERROR] x SQLSTATE: XX000"
REFUSED = r"the warehouse refuses a statement \(INTERNAL_ERROR\)\. The query history"
MERGE = {"statement": "MERGE"}
EXECUTE = {"operation": "sql.ExecuteStatement", **MERGE}
SLOW = (
    r"MERGE on the warehouse has taken \d+ s so far: its state is RUNNING; "
    "look at its query history, and check whether it is too small"
)
LOADER: dict[str, FaultCase] = {
    "denied": (
        "statement_fails",
        {**MERGE, "text": DENIED},
        r"Run: GRANT MODIFY ON TABLE main\.cio\.webhook_raw_events TO",
    ),
    "failing": ("statement_fails", {**MERGE, "text": INTERNAL}, REFUSED),
    "committed, then failed": ("statement_fails_after", {**MERGE, "text": INTERNAL}, REFUSED),
    "conflicts": (
        "statement_fails",
        {**MERGE, "text": CONFLICT},
        r"another transaction was faster .*, 6 times in a row\. Check whether another program",
    ),
    "slow": ("statement_slow", {**MERGE, "seconds": 12}, SLOW),
    "request without an answer": ("hang", EXECUTE, SLOW),
    "unavailable": ("unavailable", EXECUTE, r"not running yet, or cannot be reached \(HTTP 503\)"),
    "throttled": (
        "throttled",
        EXECUTE,
        r"is overloaded: if this continues, .* use a larger one \(HTTP 429\)",
    ),
    "failing requests": (
        "error",
        EXECUTE,
        r"has a fault: if this continues, see the status page of Databricks \(HTTP 500\)",
    ),
    "answer lost once": ("reset_after", {**EXECUTE, "times": 3}, ""),
    "answer lost": (
        "reset_after",
        EXECUTE,
        r"the warehouse cannot be reached, connections are interrupted .*: check DATABRICKS_HOST, "
        "DATABRICKS_WAREHOUSE_ID and the network",
    ),
    "token refused": (
        "expired",
        {"operation": "sql.*"},
        r"refuses the token: check the service principal's credentials \(DATABRICKS_CLIENT_ID, ",
    ),
    "warehouse deleted": (
        "missing",
        {"operation": "sql.*"},
        "there is no such warehouse: set DATABRICKS_WAREHOUSE_ID to an existing one",
    ),
    "warehouse denied": (
        "denied",
        {"operation": "sql.*"},
        r"may not use the warehouse: give it the permission CAN USE .*\(HTTP 403\)",
    ),
    "staging full": ("full", STAGE, FULL),
    "staging denied": ("denied", STAGE, MAY_NOT_WRITE),
    "reading denied": ("denied", READ, MAY_NOT_READ),
    "listing denied": (
        "denied",
        {"operation": "directories.list", "path": "/inbox"},
        MAY_NOT_READ,
    ),
    "reading without an answer": (
        "hang",
        READ,
        r"a read from the volume has taken \d+ s so far: the workspace is slow or does not answer",
    ),
}
