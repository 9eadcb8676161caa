"""The Databricks workspace: its host, our login, and the files of its volumes.

A service principal (as in a Databricks App) or a personal token needs only HTTP. databricks-sdk
does all other kinds of login. The Files API is called from here.

Sources: https://docs.databricks.com/api/workspace/files and
https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
"""

# Why not with databricks-sdk: it retries calls of the Files API for five minutes by default
# (`retries.py` of 0.156), while a request waits for its answer.

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass
from http import HTTPStatus
from itertools import chain, repeat
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx2

from databricks_app.databricks.call_budget import CallBudget, Unlimited
from databricks_app.databricks.sdk_login import from_sdk
from databricks_app.databricks.token import (
    Token,
    Tokens,
    is_about_token,
    machine_token,
    unreachable,
)
from databricks_app.errors import LakeError, SettingsError, TokenError

CALL_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
# How long a call that is refused with 429 is repeated, and the pauses if there is no Retry-After.
_REPEAT_SECONDS = 20.0
_PAUSES = (0.1, 0.2, 0.4, 0.8, 1.6)
_NO_SLOT = (
    "the calls of the Files API before this one took too long: the workspace is slow, or "
    "CIO_FILES_CALLS is too small"
)
_FILES_API = "/api/2.0/fs/"
_FILES = f"{_FILES_API}files"
_FOLDERS = f"{_FILES_API}directories"

WorkspaceErrorKind = Literal["token", "denied", "missing", "full", "busy", "unreachable", "refused"]


class WorkspaceError(LakeError):
    """A call to the workspace failed; the text says what an admin can do.

    Attributes:
        kind: What is wrong. After `unreachable` it is unknown whether the call took effect.
        retry_after_seconds: Seconds until the workspace accepts a retry; None if it does not say.
    """

    def __init__(
        self, kind: WorkspaceErrorKind, words: str, *, retry_after_seconds: float | None = None
    ) -> None:
        """Keep the text and the kind."""
        super().__init__(words)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class FileEntry:
    """An entry of a folder: its name, and the size of a file in bytes."""

    name: str
    size: int
    is_folder: bool


class DatabricksWorkspace:
    """The files of one workspace, by absolute path. Threads may share one.

    Make it after the process has forked: it has connections and a thread.

    Attributes:
        host: URL of the workspace, without a slash at the end.
        tokens: The OAuth tokens of our identity.
    """

    def __init__(
        self,
        host: str,
        tokens: Tokens,
        client: httpx2.Client | None = None,
        budget: CallBudget | Unlimited | None = None,
        *,
        is_receiver: bool = False,
        repeat_seconds: float = _REPEAT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """Start to fetch a token in the background.

        Args:
            host: URL of the workspace.
            tokens: The OAuth tokens of our identity; `close` closes them.
            client: HTTP client; `close` closes it.
            budget: Slots of the calls. Default: slots of its own.
            is_receiver: Whether its puts store events that a sender waits for.
            repeat_seconds: How long a call that is refused with 429 is repeated.
            sleep: Waits for seconds before a refused call is repeated.
        """
        self.host = host
        self.tokens = tokens
        self._client = client or httpx2.Client()
        self._budget = budget or CallBudget.of({})
        self._is_receiver = is_receiver
        self._repeat_seconds = repeat_seconds
        self._sleep = sleep
        tokens.begin()

    def put(
        self, path: str, content: bytes, *, overwrite: bool, seconds: float = CALL_SECONDS
    ) -> None:
        """Store a file; durable on return. Makes missing folders.

        Args:
            path: `/Volumes/<catalog>/<schema>/<volume>/...`.
            content: The whole content. Other readers see all of it or no file.
            overwrite: Whether to replace an existing file.
            seconds: Longest time without an answer of the workspace.

        Raises:
            FileExistsError: The file exists and `overwrite` is False.
            WorkspaceError: It is unknown whether the file is stored; the text says why.
        """
        word = "true" if overwrite else "false"
        url = f"{_FILES}{quote(path)}?overwrite={word}"
        answer = self._call("PUT", url, seconds, content)
        if answer.status_code == HTTPStatus.CONFLICT and not overwrite:
            raise FileExistsError(path)
        self._require(answer, path)

    def get(self, path: str) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: There is no such file.
            WorkspaceError: The file cannot be read now; the text says why.
        """
        answer = self._call("GET", f"{_FILES}{quote(path)}")
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(path)
        self._require(answer, path)
        return answer.content

    def delete(self, path: str) -> None:
        """Delete a file; do nothing if there is none.

        Raises:
            WorkspaceError: It is unknown whether the file is deleted; the text says why.
        """
        self._delete(_FILES, path)

    def delete_folder(self, path: str) -> None:
        """Delete an empty folder; do nothing if there is none.

        Raises:
            WorkspaceError: It is unknown whether the folder is deleted, or it is not empty.
        """
        self._delete(_FOLDERS, path)

    def names(self, folder: str) -> list[str]:
        """Return the names in a folder; none if there is no such folder.

        Raises:
            WorkspaceError: The folder cannot be listed now; the text says why.
        """
        return [entry.name for entry in self.entries(folder)]

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """Yield the entries of a folder, page by page; nothing if there is no such folder.

        Raises:
            WorkspaceError: The folder cannot be listed now; the text says why.
        """
        url = f"{_FOLDERS}{quote(folder)}"
        token = ""
        while True:
            page = f"?page_token={quote(token, safe='')}" if token else ""
            answer = self._call("GET", url + page)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return
            self._require(answer, folder)
            listing = _json(answer)
            for one in listing.get("contents", ()):
                yield FileEntry(one["name"], one.get("file_size", 0), bool(one.get("is_directory")))
            token = listing.get("next_page_token", "")
            if not token:
                return

    def request(self, method: str, path: str, seconds: float = CALL_SECONDS) -> httpx2.Response:
        """Call another API of the workspace with our token; return its answer of any status.

        Args:
            method: GET or POST, without a body.
            path: Path and query, quoted.
            seconds: Longest time without an answer.

        Raises:
            WorkspaceError: There is no token or no answer; the text says why.
        """
        return self._call(method, path, seconds)

    def close(self) -> None:
        """Close the connections, those of a fetch of a token when it has ended."""
        self.tokens.close(self._client.close)

    def _delete(self, kind: str, path: str) -> None:
        answer = self._call("DELETE", f"{kind}{quote(path)}")
        if answer.status_code != HTTPStatus.NOT_FOUND:
            self._require(answer, path)

    def _call(
        self,
        method: str,
        url: str,
        seconds: float = CALL_SECONDS,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Make a call; repeat it while it is refused with 429.

        A call of the Files API has a slot of the budget; the limits are not those of other APIs.
        """
        began = time.monotonic()
        self._token(began + seconds)  # so that nobody waits for a token while it holds a slot
        is_receivers_put = self._is_receiver and method == "PUT"
        pauses = chain(_PAUSES, repeat(_PAUSES[-1]))
        while True:
            is_limited = url.startswith(_FILES_API)
            slot = self._budget.call(began + seconds, is_receivers_put=is_receivers_put)
            try:
                with slot if is_limited else nullcontext():
                    answer = self._with_token(method, url, began + seconds, content)
            except TimeoutError:
                raise WorkspaceError("busy", _NO_SLOT) from None
            if answer.status_code != HTTPStatus.TOO_MANY_REQUESTS:
                return answer
            asked = _retry_after(answer)
            pause = next(pauses) if asked is None else max(asked, _PAUSES[0])
            # A pause that is too long is not waited for: the caller can do something else.
            if time.monotonic() + pause >= began + min(seconds, self._repeat_seconds):
                return answer
            self._sleep(pause)

    def _with_token(
        self, method: str, url: str, until: float, content: bytes | None
    ) -> httpx2.Response:
        """Make a call; repeat it once if the token was refused and there is a new one in time."""
        answer: httpx2.Response | None = None
        refused: Token | None = None
        while True:
            token = self._token(until, refused)
            if answer is not None and token is refused:
                return answer  # no new one came in time
            # A token that came late still leaves time for one try.
            left = max(0.05, until - time.monotonic())
            limits = httpx2.Timeout(left, connect=min(left, _CONNECT_SECONDS))
            headers = {"Authorization": f"Bearer {token.text}"}
            try:
                answer = self._client.request(
                    method, self.host + url, content=content, headers=headers, timeout=limits
                )
            except httpx2.HTTPError as error:
                raise WorkspaceError("unreachable", unreachable(self.host, error)) from error
            text = answer.text if answer.status_code == HTTPStatus.FORBIDDEN else ""
            can_help = self.tokens.refuse_after(token, answer.status_code, text)
            if refused is not None or not can_help:
                return answer
            refused = token

    def _token(self, until: float, refused: Token | None = None) -> Token:
        try:
            return self.tokens.get(until - time.monotonic(), other_than=refused)
        except TokenError as error:
            raise WorkspaceError("token", str(error)) from error

    @staticmethod
    def _require(answer: httpx2.Response, path: str) -> None:
        if not answer.is_success:
            raise _refusal(answer, path)


def connect(
    variables: Mapping[str, str],
    connections: int = 16,
    client: httpx2.Client | None = None,
    *,
    budget: CallBudget | Unlimited | None = None,
    is_receiver: bool = False,
    repeat_seconds: float = _REPEAT_SECONDS,
) -> DatabricksWorkspace:
    """Return the workspace that the environment names, without waiting for a token.

    Args:
        variables: `DATABRICKS_HOST` with or without a scheme, and `DATABRICKS_CLIENT_ID` with
            `DATABRICKS_CLIENT_SECRET`, or `DATABRICKS_TOKEN`, or other variables of databricks-sdk.
        connections: Most connections at the same time.
        client: HTTP client. Default: a new one.
        budget: Slots of the calls. Default: those of the run folder, or slots of its own.
        is_receiver: Whether its puts store events that a sender waits for.
        repeat_seconds: How long a call that is refused with 429 is repeated.

    Raises:
        SettingsError: The host or CIO_FILES_CALLS cannot be used.
    """
    budget = budget or CallBudget.of(variables)
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = client or httpx2.Client(limits=limits)
    host = host_url(variables.get("DATABRICKS_HOST", ""))
    identity, secret = (variables.get(f"DATABRICKS_CLIENT_{part}", "") for part in ("ID", "SECRET"))
    if identity and secret:
        tokens = Tokens(lambda: machine_token(client, host, identity, secret))
    elif text := variables.get("DATABRICKS_TOKEN", ""):
        tokens = Tokens(lambda: Token(text), is_renewable=False)
    else:
        tokens = Tokens(from_sdk(host))
    return DatabricksWorkspace(
        host, tokens, client, budget, is_receiver=is_receiver, repeat_seconds=repeat_seconds
    )


def host_url(text: str) -> str:
    """Return the URL of a workspace; a Databricks App gets its host without a scheme.

    Raises:
        SettingsError: The text is not the address of a host.
    """
    host = text.strip()
    parts = urlsplit(host if "://" in host else f"https://{host}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError(
            "DATABRICKS_HOST must be the address of the workspace, for example https://<workspace>"
        )
    if parts.username is not None or parts.path.strip("/") or parts.query:
        raise SettingsError("DATABRICKS_HOST must be the address of the workspace and nothing else")
    return f"{parts.scheme}://{parts.netloc}"


def _refusal(answer: httpx2.Response, path: str) -> WorkspaceError:
    status = answer.status_code
    volume = ".".join(path.split("/")[2:5])
    # Databricks answers a bad token with 403 too; then only the text shows the difference.
    if is_about_token(status, answer.text):
        return WorkspaceError(
            "token",
            "the workspace refuses our token: check the credentials of the service principal "
            "(DATABRICKS_CLIENT_ID, DATABRICKS_CLIENT_SECRET) and that it may use the workspace",
        )
    if status == HTTPStatus.FORBIDDEN:
        aim = "to read" if answer.request.method == "GET" else "to write into"
        return WorkspaceError(
            "denied",
            f"no permission {aim} the volume {volume}: grant READ VOLUME and WRITE VOLUME on it, "
            "USE SCHEMA and USE CATALOG on its schema and catalog, to the app's service principal",
        )
    if status == HTTPStatus.NOT_FOUND:
        words = f"the volume {volume} does not exist: CREATE VOLUME {volume}, or see CIO_CATALOG, "
        return WorkspaceError("missing", words + "CIO_SCHEMA and CIO_VOLUME")
    if status == HTTPStatus.INSUFFICIENT_STORAGE or b"QUOTA_EXCEEDED" in answer.content:
        return WorkspaceError(
            "full",
            f"the volume {volume} takes no more data (HTTP {status}): raise its quota or make room "
            "in its storage; files that wait there are deleted when they are loaded",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        words = f"the workspace limits the rate of our calls (HTTP {status}): if this continues, "
        return _busy(answer, words + "see who else uses it, or ask for a higher limit")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = f"the workspace is busy or has a fault (HTTP {status}): if this continues, see "
        return _busy(answer, words + "the status page of Databricks")
    return WorkspaceError("refused", f"the workspace refuses a call for {volume} (HTTP {status})")


def _busy(answer: httpx2.Response, words: str) -> WorkspaceError:
    return WorkspaceError("busy", words, retry_after_seconds=_retry_after(answer))


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    is_number = text.isascii() and text.isdigit() and len(text) < 6
    return float(text) if is_number else None


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        content = answer.json()
    except ValueError:
        content = None
    if not isinstance(content, dict):
        raise WorkspaceError("refused", "the workspace's answer does not follow its API")
    return content
