"""OAuth tokens of a workspace. A thread renews them early, so that no request waits.

Receiver and relay use this module; it needs only httpx2 and structlog.

Source: https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
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

# The token endpoint may be down for this long before a request notices.
EARLY_SECONDS = 600.0
TOKEN_SECONDS = 10.0
# Seconds after a failed fetch, by the number of failures in a row.
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
# A request without a token ends a pause that has lasted this long: it cannot do anything else.
_MIN_PAUSE_SECONDS = 1.0
# If two tokens are refused within this time, the cause is not the token.
_REFUSED_SECONDS = 5.0
# A 403 that does not mention the token is normally a missing permission. It renews the token this
# often at most.
_DOUBTED_SECONDS = 60.0
# Texts seen in issues 362 of databricks-sdk-py and 583 of databricks-vscode, and their variants.
_TOKEN_WORDS = re.compile(
    r"invalid (access |oauth )?token|token (is |has )?(expir|been revoked)|expired (access )?token",
    re.IGNORECASE,
)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token.

    Attributes:
        text: The token as sent.
        refresh_at: When to fetch the next one, in seconds of the clock of its `Tokens`.
        ends_at: When it expires, in seconds of the same clock.
    """

    text: str = field(repr=False)
    refresh_at: float = math.inf
    ends_at: float = math.inf

    @classmethod
    def lasting(cls, text: str, seconds: float, asked_at: float) -> Token:
        """Return a token that is valid for `seconds`.

        It is renewed ten minutes before its end, or after half of its time if that is later.
        """
        early = min(EARLY_SECONDS, seconds / 2)
        return cls(text, asked_at + seconds - early, asked_at + seconds)


class Tokens:
    """The tokens of one identity. Threads may share one."""

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        is_renewable: bool = True,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start without a token.

        Args:
            fetch: Fetches a token; may take long; raises `TokenError`.
            is_renewable: Whether `fetch` can return another token later.
            clock: Seconds. On a function host it must advance while the process is frozen.
        """
        self._is_renewable = is_renewable
        self._fetch = fetch
        self._clock = clock
        self._changed = threading.Condition()
        self._token: Token | None = None
        self._error: TokenError | None = None
        self._failed_at = -math.inf
        self._refused_at = -math.inf
        self._doubted: Token | None = None
        self._is_wanted = False
        self._is_closed = False
        self._is_running = False
        self._then: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Start the thread that fetches and renews the token."""
        self._is_running = True
        threading.Thread(target=self._run, name="workspace-token", daemon=True).start()

    def get(self, seconds: float, *, other_than: Token | None = None) -> Token:
        """Return a valid token; wait up to `seconds` if there is none.

        Args:
            seconds: Longest time to wait.
            other_than: A token that the workspace has refused. It is returned only if the time
                passes, or the fetch fails, while it is still valid.

        Raises:
            TokenError: There is none; the text says why.
        """
        with self._changed:
            has_paused = self._clock() - self._failed_at >= _MIN_PAUSE_SECONDS
            if self._error is not None and not self._is_valid() and has_paused:
                self._error, self._is_wanted = None, True
            # A function host freezes the process between requests, and the thread with it, so that
            # its timer may be late: a request wakes it, and does not wait for the new token.
            if self._is_due():
                self._changed.notify_all()
            self._changed.wait_for(
                lambda: (self._is_valid() and self._token is not other_than) or self._error,
                max(0.0, seconds),
            )
            if self._token is not None and self._is_valid():
                return self._token
            raise self._error or TokenError("the workspace has not given us a token yet")

    def refuse(self, token: Token, *, is_certain: bool = True) -> bool:
        """Renew a token that the workspace has refused.

        Args:
            token: The token of the refused call.
            is_certain: Whether the answer is about the token, see `is_about_token`. Otherwise it
                is a 403 that may be about it: other calls can still use the token until the new
                one is there.

        Returns:
            Whether a new token can be had; then it is being fetched. False soon after another
            refusal: five seconds if it is certain, otherwise a minute.
        """
        with self._changed:
            if not self._is_renewable:
                return False
            if self._token is not token:
                return True
            # If a new token is refused too, the token is not the cause: another one does not help.
            now = self._clock()
            if now - self._refused_at < (_REFUSED_SECONDS if is_certain else _DOUBTED_SECONDS):
                return False
            self._refused_at = now
            self._error = None
            if is_certain:
                self._token = None
            else:
                self._doubted = token
            self._changed.notify_all()
            return True

    def refuse_after(self, token: Token, status: int, text: str) -> bool:
        """Renew a token if an answer of the workspace can be about it.

        This is the rule of all clients of a workspace: 401, a 403 that mentions the token, and
        once a minute any other 403.

        Args:
            token: The token of the call.
            status: HTTP status of the answer.
            text: Text of the answer.

        Returns:
            Whether to make the call again, with `get(..., other_than=token)`.
        """
        if is_about_token(status, text):
            return self.refuse(token)
        return status == HTTPStatus.FORBIDDEN and self.refuse(token, is_certain=False)

    def close(self, then: Callable[[], None] = lambda: None) -> None:
        """End the thread; do not wait for a fetch in progress.

        Args:
            then: Called when no fetch is in progress any more, perhaps by the thread. It closes
                what the fetches use: closed earlier, a connection that a fetch is just opening
                would stay open.
        """
        with self._changed:
            self._is_closed, self._then = True, then
            self._changed.notify_all()
            if self._is_running:
                return
        then()

    def _is_valid(self) -> bool:
        return self._token is not None and self._clock() < self._token.ends_at

    def _run(self) -> None:
        try:
            self._renew_until_closed()
        finally:
            with self._changed:
                self._is_running = False
                then = self._then
            then()

    def _renew_until_closed(self) -> None:
        failures = 0
        while not self._is_closed:
            try:
                token, error = self._fetch(), None
            except TokenError as failure:
                token, error = None, failure
            with self._changed:
                self._is_wanted = False
                if token is not None:
                    self._token, self._doubted = token, None
                self._error = error
                self._failed_at = self._clock() if error is not None else -math.inf
                self._changed.notify_all()
                if token is not None:
                    failures = 0
                    seconds = max(0.0, token.refresh_at - self._clock())
                    self._changed.wait_for(self._is_due, None if math.isinf(seconds) else seconds)
                    continue
            log.warning("token_failed", reason=str(error), failures=failures + 1)
            with self._changed:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                self._changed.wait_for(lambda: self._is_closed or self._is_wanted, pause)
            failures += 1

    def _is_due(self) -> bool:
        token = self._token
        if self._is_closed or token is None or token is self._doubted:
            return True
        return self._clock() >= token.refresh_at


def is_about_token(status: int, text: str) -> bool:
    """Return whether an answer refuses the token itself, not a permission: 401, or 403 in words."""
    if status == HTTPStatus.FORBIDDEN:
        return _TOKEN_WORDS.search(text) is not None
    return status == HTTPStatus.UNAUTHORIZED


def machine_token(
    client: httpx2.Client,
    host: str,
    identity: str,
    secret: str,
    clock: Callable[[], float] = time.monotonic,
) -> Token:
    """Fetch a token of a service principal.

    Args:
        client: HTTP client.
        host: URL of the workspace.
        identity: Application id of the service principal.
        secret: An OAuth secret of the service principal.
        clock: Clock of the token's times.

    Raises:
        TokenError: There is no token. The text says why; it quotes nothing from the answer.
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
    """Return the text of an error: how the workspace failed to answer, and what to do."""
    if isinstance(error, (httpx2.ConnectError, httpx2.ConnectTimeout)):
        how = "it accepts no connection"
    elif isinstance(error, httpx2.TimeoutException):
        how = "the call timed out"
    else:
        how = "the connection was interrupted"
    return (
        f"the workspace {host} does not answer, {how} ({type(error).__name__}): check "
        "DATABRICKS_HOST, the network and the status page of Databricks"
    )


def _read(answer: httpx2.Response) -> tuple[str, float] | None:
    """Return the token of an answer and its lifetime in seconds; None if there is none."""
    try:
        content = answer.json()
        text, seconds = content["access_token"], content["expires_in"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    is_text = isinstance(text, str) and text.isascii() and text.isprintable() and text.strip()
    is_time = isinstance(seconds, (int, float)) and not isinstance(seconds, bool) and seconds > 0
    return (text, float(seconds)) if is_text and is_time else None
