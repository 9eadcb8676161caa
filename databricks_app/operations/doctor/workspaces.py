"""The check of workspace names: CIO_WORKSPACES lists every key, and rows have those names."""

from __future__ import annotations

from collections.abc import Iterator

from databricks_app.errors import QueryError
from databricks_app.lake.renaming import KEYS_IN_RAW, keys_in_raw
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, ok, skipped, warning
from databricks_app.operations.workspaces.overview import due
from databricks_app.runtime.words import counted


def workspaces(context: DoctorContext) -> CheckResult:
    """Check that CIO_WORKSPACES lists every active key and that no rows need a rename."""
    names = context.settings.workspaces
    if not names:
        return ok("all events belong to the workspace default; CIO_WORKSPACES is not set")
    try:
        troubles = [*_not_listed(context), *_not_renamed(context)]
    except QueryError as error:
        return skipped(str(error), "see the check tables")
    if troubles:
        says, fixes = zip(*troubles, strict=True)
        return warning("; ".join(says), "\n".join(fixes))
    listed = ", ".join(sorted(set(names.values())))
    return ok(f"{listed}: CIO_WORKSPACES lists every active key, and no rows need a rename")


def _not_listed(context: DoctorContext) -> Iterator[tuple[str, str]]:
    """Yield each problem with its fix."""
    for key in context.settings.signing_keys or ():
        if key.fingerprint not in context.settings.workspaces:
            yield (
                f"CIO_WORKSPACES does not list the active key {key.fingerprint}: its events get "
                "the workspace default",
                f"add <workspace>:{key.fingerprint} to CIO_WORKSPACES, and keep the other entries",
            )


def _not_renamed(context: DoctorContext) -> Iterator[tuple[str, str]]:
    found = keys_in_raw(context.tables().run(KEYS_IN_RAW).rows)
    for (old, new), events in due(context.settings.workspaces, found).items():
        yield (
            f"{counted(events, '[row has|rows have]')} the workspace {old}, but a key of {new}",
            f"stop the receiver, run `ciolake workspaces rename {old} {new}`, start the receiver",
        )
