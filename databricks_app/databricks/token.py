"""The token in force, kept fresh by a thread so that no request waits for a renewal.

Of the receiver and of the relay: it needs httpx2 and structlog alone. A function host freezes
processes between requests, and the thread with them; so a request wakes the thread where a renewal
is due, and does not wait for it. Source:
https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
"""

from __future__ import annotations

import math
import re
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus

import httpx2
import structlog

from databricks_app.errors import TokenError

EARLY_SECONDS = 600.0
TOKEN_SECONDS = 10.0
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A request ends a longer pause: it has nothing else to wait for.
_LEAST_PAUSE_SECONDS = 1.0
# A token that is refused so soon after another one is not at fault.
_REFUSED_SECONDS = 5.0
# Seen in databricks-sdk-py 362 and databricks-vscode 583.
_INVALID = re.compile(r"invalid access token|token is expir", re.IGNORECASE)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token.

    Attributes:
        text: As sent.
        refresh_at: When another one is to be asked for, seconds of the clock of its `Tokens`.
        ends_at: When it ends, likewise.
    """

    text: str = field(repr=False)
    refresh_at: float = math.inf
    ends_at: float = math.inf

    @classmethod
    def lasting(cls, text: str, seconds: float, asked_at: float) -> Token:
        """A token that lasts so long; renewed ten minutes early, or at half its life."""
        early = min(EARLY_SECONDS, seconds / 2)
        return cls(text, asked_at + seconds - early, asked_at + seconds)


class Tokens:
    """The token of one identity. Threads share one."""

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        is_renewable: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without a token.

        Args:
            fetch: Asks for one; may take long; raises `TokenError`.
            is_renewable: Whether it can return another one later.
            clock: Seconds. Where processes are frozen, one that goes on meanwhile.
        """
        self._is_renewable = is_renewable
        self._fetch = fetch
        self._clock = clock
        self._changed = threading.Condition()
        self._token: Token | None = None
        self._error: TokenError | None = None
        self._failed_at = -math.inf
        self._refused_at = -math.inf
        self._is_wanted = False
        self._is_closed = False

    def begin(self) -> None:
        """Ask for a token, and see to it that there always is one, in a thread."""
        threading.Thread(target=self._run, name="workspace-token", daemon=True).start()

    def get(self, seconds: float) -> Token:
        """Return a token that has not ended; waits so long where there is none.

        Raises:
            TokenError: There is none; says why.
        """
        with self._changed:
            if self._error is not None and not self._is_valid() and self._may_ask_again():
                self._error, self._is_wanted = None, True
            if self._is_due():
                self._changed.notify_all()
            self._changed.wait_for(lambda: self._is_valid() or self._error, max(0.0, seconds))
            if self._token is not None and self._is_valid():
                return self._token
            raise self._error or TokenError("the workspace has not yet given us a token")

    def refuse(self, token: Token) -> bool:
        """Note that the workspace does not take a token.

        Returns:
            Whether another one can be had, which is asked for. Not so soon after another refusal:
            where a new token is refused too it is not the token, and more would not help.
        """
        with self._changed:
            if not self._is_renewable:
                return False
            if self._token is not token:
                return True
            now = self._clock()
            if now - self._refused_at < _REFUSED_SECONDS:
                return False
            self._refused_at = now
            self._token = self._error = None
            self._changed.notify_all()
            return True

    def close(self) -> None:
        """Ask for no more; does not wait for what is under way."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _is_valid(self) -> bool:
        return self._token is not None and self._clock() < self._token.ends_at

    def _may_ask_again(self) -> bool:
        return self._clock() - self._failed_at >= _LEAST_PAUSE_SECONDS

    def _run(self) -> None:
        failures = 0
        while not self._is_closed:
            try:
                token, error = self._fetch(), None
            except TokenError as failure:
                token, error = None, failure
            with self._changed:
                self._is_wanted = False
                if token is not None:
                    self._token = token
                self._error = error
                self._failed_at = self._clock() if error is not None else -math.inf
                self._changed.notify_all()
                if error is None:
                    failures = 0
                    self._changed.wait_for(self._is_due, self._seconds_left())
                    continue
            log.warning("token_failed", reason=str(error), failures=failures + 1)
            with self._changed:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                self._changed.wait_for(lambda: self._is_closed or self._is_wanted, pause)
            failures += 1

    def _is_due(self) -> bool:
        token = self._token
        return self._is_closed or token is None or self._clock() >= token.refresh_at

    def _seconds_left(self) -> float | None:
        token = self._token
        if token is None or token.refresh_at == math.inf:
            return None
        return max(0.0, token.refresh_at - self._clock())


def is_refused(text: str) -> bool:
    """Whether an answer 403 with this text refuses the token, not a right of its owner."""
    return _INVALID.search(text) is not None


def machine_token(
    client: httpx2.Client,
    host: str,
    identity: str,
    secret: str,
    clock: Callable[[], float] = time.monotonic,
) -> Token:
    """Ask for the token of a service principal.

    Args:
        client: Carries the call.
        host: URL of the workspace.
        identity: The service principal's application id.
        secret: An OAuth secret of it.
        clock: That of the token.

    Raises:
        TokenError: None can be had; says why, without any text of the answer.
    """
    asked_at = clock()
    form = {"grant_type": "client_credentials", "scope": "all-apis"}
    try:
        answer = client.post(
            f"{host}/oidc/v1/token", data=form, auth=(identity, secret), timeout=TOKEN_SECONDS
        )
    except httpx2.HTTPError as error:
        raise TokenError(unreachable(host, error)) from error
    if answer.status_code in {HTTPStatus.BAD_REQUEST, HTTPStatus.UNAUTHORIZED}:
        raise TokenError(
            "the workspace gives no token: check DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET "
            "and that the service principal is a member of the workspace"
        )
    found = _read(answer) if answer.status_code == HTTPStatus.OK else None
    if found is None:
        raise TokenError(f"the workspace gives no token: HTTP {answer.status_code}")
    return Token.lasting(*found, asked_at)


def unreachable(host: str, error: httpx2.HTTPError) -> str:
    """Say in words how a workspace does not answer."""
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        how = "it takes no connection"
    elif isinstance(error, httpx2.TimeoutException):
        how = "it stays silent"
    else:
        how = "connections break off"
    return (
        f"the workspace {host} does not answer, {how} ({type(error).__name__}): check "
        "DATABRICKS_HOST, the way there and the status page of Databricks"
    )


def _read(answer: httpx2.Response) -> tuple[str, float] | None:
    """Return the token of an answer and how long it lasts; None if there is none."""
    try:
        said = answer.json()
        text, seconds = said["access_token"], said["expires_in"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_text = isinstance(text, str) and text.isascii() and text.isprintable() and text.strip()
    is_time = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
    return (text, float(seconds)) if is_text and is_time else None
