"""Runs the steps of a deployment: finds changes, reports them, makes them, explains errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Literal, TypeVar

import requests
from databricks.sdk.errors import (
    AlreadyExists,
    PermissionDenied,
    ResourceAlreadyExists,
    ResourceConflict,
    Unauthenticated,
)
from databricks.sdk.errors.base import DatabricksError

from databricks_app.databricks.token import is_about_token
from databricks_app.errors import DeploymentError

T = TypeVar("T")
State = Literal["ok", "changed", "would change"]
Report = Callable[[str, State, Sequence[str]], None]


@dataclass(frozen=True, slots=True)
class PlannedChange:
    """One change that is needed.

    Attributes:
        words: What will be done, in the imperative.
        do: Makes the change; a `Note` that it returns is reported with the step.
        is_creation: Whether "already exists" counts as success. It does after a call whose answer
            was lost.
    """

    words: str
    do: Callable[[], object]
    is_creation: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """A remark about a step; it changes nothing."""

    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a deployment.

    Attributes:
        title: Its name.
        needs: The rights that the deployer needs for it.
        look: Finds the changes without making them. It must also work before earlier steps ran.
    """

    title: str
    needs: str
    look: Callable[[], Sequence[PlannedChange | Note]]


def run(steps: Sequence[Step], report: Report, *, is_dry: bool = False) -> bool:
    """Make the needed changes, step by step; return whether there were any.

    Args:
        steps: The steps in order.
        report: Gets the outcome of each step.
        is_dry: Only report the changes.

    Raises:
        DeploymentError: A step failed; another run continues there.
    """
    is_changed = False
    for step in steps:
        seen = _asked(step, step.look)
        changes = [one for one in seen if isinstance(one, PlannedChange)]
        words = [one.words for one in seen]
        if not is_dry:
            for change in changes:
                done = _asked(step, partial(_do, change))
                words += [done.words] if isinstance(done, Note) else []
        state: State = "ok"
        if changes:
            state = "would change" if is_dry else "changed"
        report(step.title, state, words)
        is_changed |= bool(changes)
    return is_changed


def _do(change: PlannedChange) -> object:
    try:
        return change.do()
    except (AlreadyExists, ResourceAlreadyExists, ResourceConflict):
        if not change.is_creation:
            raise
        return None


def _asked(step: Step, ask: Callable[[], T]) -> T:
    try:
        return ask()
    except (PermissionDenied, Unauthenticated) as error:
        # The platform answers some refused tokens with 403 instead of 401.
        is_login = isinstance(error, Unauthenticated)
        if is_login or is_about_token(HTTPStatus.FORBIDDEN, str(error)):
            raise DeploymentError(
                f"{step.title}: the workspace refuses the login. Set DATABRICKS_HOST, "
                "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or log in with `databricks "
                "auth login`."
            ) from error
        raise DeploymentError(
            f"{step.title}: a right is missing. This step needs: {step.needs}. ({error})"
        ) from error
    except DatabricksError as error:
        raise DeploymentError(
            f"{step.title}: {str(error).rstrip('.')}. Earlier steps are done; run this again to "
            "continue."
        ) from error
    except (requests.RequestException, TimeoutError) as error:
        raise DeploymentError(
            f"{step.title}: the workspace does not answer ({type(error).__name__}). Earlier steps "
            "are done; run this again to continue."
        ) from error
