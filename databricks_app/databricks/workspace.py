"""The Databricks workspace: where it is, who we are there, and the files of its volumes.

A service principal (the way of a Databricks App) and a personal token need nothing but HTTP. All
other ways to log in are left to databricks-sdk, which is imported only then: that takes about two
seconds, and its token calls have no time limit, so it is asked in a background thread. Calls of the
Files API are made here, because the SDK repeats them blindly, by default for five minutes
(`retries.py` of 0.156), while a request waits. Sources:
https://docs.databricks.com/api/workspace/files and
https://docs.databricks.com/aws/en/dev-tools/auth/oauth-m2m
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx2

from databricks_app.databricks.token import Token, Tokens, is_refused, machine_token, unreachable
from databricks_app.errors import LakeError, SettingsError, TokenError

CALL_SECONDS = 60.0
_CONNECT_SECONDS = 5.0
_SDK_LOOK_SECONDS = 60.0
_FILES = "/api/2.0/fs/files"
_FOLDERS = "/api/2.0/fs/directories"

WorkspaceErrorKind = Literal["token", "denied", "missing", "full", "busy", "unreachable", "refused"]


class WorkspaceError(LakeError):
    """The workspace did not do what was asked; the text says what an admin does about it.

    Attributes:
        kind: What is wrong. After `unreachable` it is unknown whether the call took effect.
        retry_after_seconds: When the workspace wants to be asked again; None if it does not say.
    """

    def __init__(
        self, kind: WorkspaceErrorKind, words: str, *, retry_after_seconds: float | None = None
    ) -> None:
        """Say what is wrong in words."""
        super().__init__(words)
        self.kind = kind
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class FileEntry:
    """What lies in a folder: a name, and for a file its size in bytes."""

    name: str
    size: int
    is_folder: bool


class DatabricksWorkspace:
    """The files of one workspace, by absolute path; threads share one.

    Make it after the process has forked: it has connections and a thread.

    Attributes:
        host: Its URL, without a slash at the end.
        tokens: Who we are there.
    """

    def __init__(self, host: str, tokens: Tokens, client: httpx2.Client | None = None) -> None:
        """Ask for a token in the background.

        Args:
            host: Its URL.
            tokens: Who we are there; closed with this.
            client: Carries the calls; closed with this.
        """
        self.host = host
        self.tokens = tokens
        self._client = client or httpx2.Client()
        tokens.begin()

    def put(
        self, path: str, content: bytes, *, overwrite: bool, seconds: float = CALL_SECONDS
    ) -> None:
        """Store a file; durable on return. Folders on the way are made.

        Args:
            path: `/Volumes/<catalog>/<schema>/<volume>/...`.
            content: All of it; appears whole or not at all.
            overwrite: Whether a file of that name is replaced.
            seconds: Longest silence of the workspace.

        Raises:
            FileExistsError: It is there and may not be overwritten.
            WorkspaceError: It is not known to be stored; says why.
        """
        word = "true" if overwrite else "false"
        url = f"{_FILES}{quote(path)}?overwrite={word}"
        answer = self._call("PUT", url, path, seconds, content)
        if answer.status_code == HTTPStatus.CONFLICT and not overwrite:
            raise FileExistsError(path)
        self._require(answer, path)

    def get(self, path: str) -> bytes:
        """Read a file.

        Raises:
            FileNotFoundError: There is none.
            WorkspaceError: It cannot be read now; says why.
        """
        answer = self._call("GET", f"{_FILES}{quote(path)}", path)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            raise FileNotFoundError(path)
        self._require(answer, path)
        return answer.content

    def delete(self, path: str) -> None:
        """Remove a file; nothing happens if it is gone.

        Raises:
            WorkspaceError: It is not known to be gone; says why.
        """
        self._remove(_FILES, path)

    def delete_folder(self, path: str) -> None:
        """Remove an empty folder; nothing happens if it is gone.

        Raises:
            WorkspaceError: It is not known to be gone, as when it is not empty.
        """
        self._remove(_FOLDERS, path)

    def names(self, folder: str) -> list[str]:
        """Names of what lies in a folder; none if there is no such folder.

        Raises:
            WorkspaceError: It cannot be listed now; says why.
        """
        return [entry.name for entry in self.entries(folder)]

    def entries(self, folder: str) -> Iterator[FileEntry]:
        """Yield what lies in a folder, page by page; nothing if there is no such folder.

        Raises:
            WorkspaceError: It cannot be listed now; says why.
        """
        url = f"{_FOLDERS}{quote(folder)}"
        token = ""
        while True:
            page = f"?page_token={quote(token, safe='')}" if token else ""
            answer = self._call("GET", url + page, folder)
            if answer.status_code == HTTPStatus.NOT_FOUND:
                return
            self._require(answer, folder)
            said = _json(answer)
            for one in said.get("contents", ()):
                yield FileEntry(one["name"], one.get("file_size", 0), bool(one.get("is_directory")))
            token = said.get("next_page_token", "")
            if not token:
                return

    def close(self) -> None:
        """End the connections."""
        self.tokens.close()
        self._client.close()

    def _remove(self, kind: str, path: str) -> None:
        answer = self._call("DELETE", f"{kind}{quote(path)}", path)
        if answer.status_code != HTTPStatus.NOT_FOUND:
            self._require(answer, path)

    def _call(
        self,
        method: str,
        url: str,
        path: str,
        seconds: float = CALL_SECONDS,
        content: bytes | None = None,
    ) -> httpx2.Response:
        """Ask once; once more where the token was refused and another one can be had in time."""
        until = time.monotonic() + seconds
        for is_last in (False, True):
            try:
                token = self.tokens.get(until - time.monotonic())
            except TokenError as error:
                raise WorkspaceError("token", str(error)) from error
            left = max(0.05, until - time.monotonic())
            limits = httpx2.Timeout(left, connect=min(left, _CONNECT_SECONDS))
            headers = {"Authorization": f"Bearer {token.text}"}
            try:
                answer = self._client.request(
                    method, self.host + url, content=content, headers=headers, timeout=limits
                )
            except httpx2.HTTPError as error:
                raise WorkspaceError("unreachable", unreachable(self.host, error)) from error
            if not _is_about_the_token(answer):
                break
            if not self.tokens.refuse(token) or is_last:
                raise _refusal(answer, path)
        return answer

    @staticmethod
    def _require(answer: httpx2.Response, path: str) -> None:
        if not answer.is_success:
            raise _refusal(answer, path)


def connect(
    variables: Mapping[str, str], connections: int = 16, client: httpx2.Client | None = None
) -> DatabricksWorkspace:
    """Join the workspace that the environment names; nothing is waited for.

    Args:
        variables: `DATABRICKS_HOST` with or without a scheme, and `DATABRICKS_CLIENT_ID` with
            `DATABRICKS_CLIENT_SECRET`, or `DATABRICKS_TOKEN`, or what else databricks-sdk reads.
        connections: Most of them at once.
        client: Carries the calls, instead of one of its own.

    Raises:
        SettingsError: The host cannot be used.
    """
    limits = httpx2.Limits(max_connections=connections, max_keepalive_connections=connections)
    client = client or httpx2.Client(limits=limits)
    host = host_url(variables.get("DATABRICKS_HOST", ""))
    identity, secret = (variables.get(f"DATABRICKS_CLIENT_{part}", "") for part in ("ID", "SECRET"))
    if identity and secret:
        tokens = Tokens(lambda: machine_token(client, host, identity, secret))
    elif text := variables.get("DATABRICKS_TOKEN", ""):
        tokens = Tokens(lambda: Token(text), is_renewable=False)
    else:
        tokens = Tokens(_from_sdk(host))
    return DatabricksWorkspace(host, tokens, client)


def host_url(text: str) -> str:
    """Return the URL of a workspace; a Databricks App gets its host without a scheme.

    Raises:
        SettingsError: It names no host.
    """
    host = text.strip()
    parts = urlsplit(host if "://" in host else f"https://{host}")
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SettingsError("DATABRICKS_HOST must name the workspace, as in https://<workspace>")
    if parts.username is not None or parts.path.strip("/") or parts.query:
        raise SettingsError("DATABRICKS_HOST must name the workspace and nothing else")
    return f"{parts.scheme}://{parts.netloc}"


def _from_sdk(host: str) -> Callable[[], Token]:
    """Return what asks the SDK, which keeps tokens fresh by itself."""
    config: Any = None

    def ask() -> Token:
        nonlocal config
        try:
            if config is None:
                from databricks.sdk.config import Config

                config = Config(host=host)
            headers = config.authenticate()
        except ImportError:
            raise TokenError(
                "set DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET, or DATABRICKS_TOKEN; any "
                "other way to log in needs databricks-sdk"
            ) from None
        except Exception as error:  # noqa: BLE001  # of many kinds, whose texts quote settings
            raise TokenError(
                f"databricks-sdk finds no way to log in ({type(error).__name__}): set "
                "DATABRICKS_CLIENT_ID and DATABRICKS_CLIENT_SECRET"
            ) from None
        text = str(headers.get("Authorization", "")).removeprefix("Bearer ")
        return Token(text, refresh_at=time.monotonic() + _SDK_LOOK_SECONDS)

    return ask


def _is_about_the_token(answer: httpx2.Response) -> bool:
    """A refused token is not always 401."""
    return answer.status_code == HTTPStatus.UNAUTHORIZED or (
        answer.status_code == HTTPStatus.FORBIDDEN and is_refused(answer.text)
    )


def _refusal(answer: httpx2.Response, path: str) -> WorkspaceError:
    status = answer.status_code
    volume = ".".join(path.split("/")[2:5])
    if _is_about_the_token(answer):
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
            "USE SCHEMA and USE CATALOG on what it is in, to the app's service principal",
        )
    if status == HTTPStatus.NOT_FOUND:
        words = f"the volume {volume} does not exist: CREATE VOLUME {volume}, or see CIO_CATALOG, "
        return WorkspaceError("missing", words + "CIO_SCHEMA and CIO_VOLUME")
    if status == HTTPStatus.INSUFFICIENT_STORAGE or b"QUOTA_EXCEEDED" in answer.content:
        return WorkspaceError(
            "full",
            f"the volume {volume} takes no more (HTTP {status}): raise its quota or make room in "
            "its storage; what waits there goes when it is loaded",
        )
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        words = f"the workspace takes fewer calls than come (HTTP {status}): if this lasts, see "
        return _busy(answer, words + "who else uses it, or ask for a higher limit")
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        words = f"the workspace is busy or in trouble (HTTP {status}): if this lasts, see "
        return _busy(answer, words + "the status page of Databricks")
    return WorkspaceError("refused", f"the workspace refuses a call for {volume} (HTTP {status})")


def _busy(answer: httpx2.Response, words: str) -> WorkspaceError:
    return WorkspaceError("busy", words, retry_after_seconds=_retry_after(answer))


def _retry_after(answer: httpx2.Response) -> float | None:
    text = answer.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 6 else None


def _json(answer: httpx2.Response) -> dict[str, Any]:
    try:
        said = answer.json()
    except ValueError:
        said = None
    if not isinstance(said, dict):
        raise WorkspaceError("refused", "the workspace's answer is not what its API promises")
    return said
