"""Runs steps: looks what is missing, says so, does it, and explains what a refusal means."""

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
    """One thing that is missing.

    Attributes:
        words: What will be done, in the imperative.
        do: Does it; a `Note` that it returns is reported with the step.
        is_creation: Whether finding it made meanwhile is as good: an answer may have been lost.
    """

    words: str
    do: Callable[[], object]
    is_creation: bool = False


@dataclass(frozen=True, slots=True)
class Note:
    """Something to know about a step that changes nothing by itself."""

    words: str


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a deployment.

    Attributes:
        title: Its name.
        needs: What the deployer must have been granted for it.
        look: Says what is missing, changing nothing; also where earlier steps were not done yet.
    """

    title: str
    needs: str
    look: Callable[[], Sequence[PlannedChange | Note]]


def run(steps: Sequence[Step], report: Report, *, is_dry: bool = False) -> bool:
    """Do what is missing, step by step; whether anything was.

    Args:
        steps: In order.
        report: Gets the outcome of each.
        is_dry: Only look.

    Raises:
        DeploymentError: A step failed; running all again goes on from there.
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
        # A refused token is not always 401.
        is_login = isinstance(error, Unauthenticated)
        if is_login or is_about_token(HTTPStatus.FORBIDDEN, str(error)):
            raise DeploymentError(
                f"{step.title}: the workspace refuses the login. Set DATABRICKS_HOST with "
                "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or log in with `databricks "
                "auth login`."
            ) from error
        raise DeploymentError(
            f"{step.title}: a permission is missing. Needed: {step.needs}. ({error})"
        ) from error
    except DatabricksError as error:
        raise DeploymentError(
            f"{step.title}: {error}. What was done stays; run it again to go on."
        ) from error
    except (requests.RequestException, TimeoutError) as error:
        raise DeploymentError(
            f"{step.title}: the workspace does not answer ({type(error).__name__}). What was "
            "done stays; run it again to go on."
        ) from error
