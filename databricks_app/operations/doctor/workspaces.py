"""The check of the workspaces' names: every key is listed, and the rows have the names."""

from __future__ import annotations

from collections.abc import Iterator

from databricks_app.errors import QueryError
from databricks_app.lake.renaming import KEYS_IN_RAW, keys_in_raw
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning
from databricks_app.operations.workspaces.overview import due


def workspaces(context: DoctorContext) -> CheckResult:
    """Where CIO_WORKSPACES names some, no event falls to `default` for a key left out."""
    names = context.settings.workspaces
    if not names:
        return ok("one workspace, default: CIO_WORKSPACES names none")
    try:
        troubles = [*_not_listed(context), *_not_renamed(context)]
    except QueryError as error:
        return skipped(str(error), "see the check tables")
    if troubles:
        says, fixes = zip(*troubles, strict=True)
        return warning("; ".join(says), "\n".join(fixes))
    listed = ", ".join(sorted(set(names.values())))
    return ok(f"{listed}: every active key is listed, and no row waits for a rename")


def _not_listed(context: DoctorContext) -> Iterator[tuple[str, str]]:
    """What is wrong, and what to do about it."""
    for key in context.settings.signing_keys or ():
        if key.fingerprint not in context.settings.workspaces:
            yield (
                f"the active key {key.fingerprint} is not listed: its events are loaded as default",
                f"add <workspace>:{key.fingerprint} to CIO_WORKSPACES, and keep the others",
            )


def _not_renamed(context: DoctorContext) -> Iterator[tuple[str, str]]:
    found = keys_in_raw(context.tables().run(KEYS_IN_RAW).rows)
    for (old, new), events in due(context.settings.workspaces, found).items():
        yield (
            f"{events:,} rows of the workspace {old} have a key of {new}",
            f"stop the receiver, `ciolake workspaces rename {old} {new}`, start it",
        )
