"""The token in force, kept fresh by a thread so that no request waits for a renewal."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from databricks_app.errors import TokenError

EARLY_SECONDS = 600.0
_PAUSES = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Token:
    """A bearer token.

    Attributes:
        text: As sent.
        refresh_at: When another one is to be asked for, monotonic seconds.
        ends_at: When it ends, monotonic seconds.
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
    """The token of one identity.

    Attributes:
        is_renewable: Whether a refused token may be followed by a better one.
    """

    def __init__(
        self,
        fetch: Callable[[], Token],
        *,
        is_renewable: bool = True,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """Begin without a token.

        Args:
            fetch: Asks for one; may take long; raises `TokenError`.
            is_renewable: Whether it can return another one later.
            monotonic: Seconds.
        """
        self.is_renewable = is_renewable
        self._fetch = fetch
        self._monotonic = monotonic
        self._changed = threading.Condition()
        self._token: Token | None = None
        self._error: TokenError | None = None
        self._is_closed = False
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Ask for a token, and see to it that there always is one, in a thread."""
        self._thread = threading.Thread(target=self._run, name="workspace-token", daemon=True)
        self._thread.start()

    def get(self, seconds: float) -> Token:
        """Return a token that has not ended; waits so long where there is none.

        Raises:
            TokenError: There is none; says why.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._is_valid() or self._error, max(0.0, seconds))
            if self._token is not None and self._is_valid():
                return self._token
            raise self._error or TokenError("the workspace has not yet given us a token")

    def refuse(self, token: Token) -> None:
        """Note that the workspace does not take a token; another one is asked for."""
        with self._changed:
            if self._token is token and self.is_renewable:
                self._token, self._error = None, None
                self._changed.notify_all()

    def close(self) -> None:
        """Ask for no more; does not wait for what is under way."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()

    def _is_valid(self) -> bool:
        return self._token is not None and self._monotonic() < self._token.ends_at

    def _run(self) -> None:
        failures = 0
        while not self._is_closed:
            try:
                token, error = self._fetch(), None
            except TokenError as refusal:
                token, error = None, refusal
            with self._changed:
                if token is not None:
                    self._token = token
                self._error = error
                self._changed.notify_all()
                if error is None:
                    failures = 0
                    self._changed.wait_for(self._is_due, self._seconds_left())
                    continue
            log.warning("token_failed", reason=str(error), failures=failures + 1)
            with self._changed:
                pause = _PAUSES[min(failures, len(_PAUSES) - 1)]
                self._changed.wait_for(lambda: self._is_closed, pause)
            failures += 1

    def _is_due(self) -> bool:
        token = self._token
        return self._is_closed or token is None or self._monotonic() >= token.refresh_at

    def _seconds_left(self) -> float | None:
        token = self._token
        if token is None or token.refresh_at == math.inf:
            return None
        return max(0.0, token.refresh_at - self._monotonic())
