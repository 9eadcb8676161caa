"""The files of the workspace, and the errors when they cannot be used."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from databricks_app.databricks.token import Token, Tokens
from databricks_app.databricks.workspace import (
    DatabricksWorkspace,
    FileEntry,
    WorkspaceError,
    connect,
    host_url,
)
from databricks_app.errors import SettingsError
from tests.doubles.databricks import TOKEN, Databricks
from tests.doubles.faults import Fault

VOLUME = "/Volumes/main/cio/landing"


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a volume."""
    with Databricks(tmp_path, volume="main.cio.landing") as double:
        yield double


@pytest.fixture
def files(double: Databricks) -> Iterator[DatabricksWorkspace]:
    """The files, used as the service principal."""
    files = connect(double.environment())
    yield files
    files.close()


def answering(status: int, content: bytes = b"{}", **headers: str) -> DatabricksWorkspace:
    """A workspace that always gives this answer."""
    transport = httpx2.MockTransport(
        lambda _request: httpx2.Response(status, content=content, headers=headers)
    )
    client = httpx2.Client(transport=transport)
    return DatabricksWorkspace(
        "https://example.com", Tokens(lambda: Token("t"), is_renewable=False), client
    )


def test_get_returns_what_was_put(files: DatabricksWorkspace) -> None:
    """Byte for byte, also with odd characters in the name; missing folders are made."""
    path = f"{VOLUME}/a b/c%20ü?.bin"

    files.put(path, b"\x00\xff", overwrite=False)

    assert files.get(path) == b"\x00\xff"


def test_a_put_without_overwrite_keeps_the_existing_file(files: DatabricksWorkspace) -> None:
    """The first file stays; with `overwrite` the last one."""
    path = f"{VOLUME}/lease"
    files.put(path, b"one", overwrite=False)

    with pytest.raises(FileExistsError):
        files.put(path, b"two", overwrite=False)
    files.put(path, b"three", overwrite=True)

    assert files.get(path) == b"three"


def test_a_folder_is_listed_page_by_page(double: Databricks, files: DatabricksWorkspace) -> None:
    """All entries of all pages."""
    double.workspace.page_size = 2
    for name in "abcde":
        files.put(f"{VOLUME}/full/{name}", name.encode() * 3, overwrite=True)
    files.put(f"{VOLUME}/full/folder/one", b"", overwrite=True)

    found = list(files.entries(f"{VOLUME}/full"))

    assert found[:5] == [FileEntry(name, 3, is_folder=False) for name in "abcde"]
    assert found[5].is_folder
    assert files.names(f"{VOLUME}/full") == [*"abcde", "folder"]
    assert files.names(f"{VOLUME}/empty") == []


def test_a_missing_file_can_be_deleted(files: DatabricksWorkspace) -> None:
    """A missing folder too; a folder with a file in it stays."""
    files.put(f"{VOLUME}/folder/one", b"", overwrite=True)

    with pytest.raises(WorkspaceError):
        files.delete_folder(f"{VOLUME}/folder")
    for _ in range(2):
        files.delete(f"{VOLUME}/folder/one")
        files.delete_folder(f"{VOLUME}/folder")

    with pytest.raises(FileNotFoundError):
        files.get(f"{VOLUME}/folder/one")


def test_a_revoked_token_is_replaced_within_the_call(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """The caller does not notice."""
    files.put(f"{VOLUME}/one", b"1", overwrite=True)

    double.workspace.tokens.revoke_all()

    assert files.get(f"{VOLUME}/one") == b"1"
    assert double.workspace.tokens.issued == 2


@pytest.mark.parametrize("text", ["Invalid access token", "Token is expiring within 30 seconds"])
def test_a_token_that_is_refused_with_403_is_replaced(
    double: Databricks, files: DatabricksWorkspace, text: str
) -> None:
    """The platform does not always answer 401; another 403 is a missing permission."""
    files.put(f"{VOLUME}/one", b"1", overwrite=True)
    double.faults.set(Fault("invalid_token", "files.get", text=text), Fault("denied", "files.put"))

    assert files.get(f"{VOLUME}/one") == b"1"
    with pytest.raises(WorkspaceError) as caught:
        files.put(f"{VOLUME}/one", b"2", overwrite=True)

    assert double.workspace.tokens.issued == 2
    assert caught.value.kind == "denied"


def test_a_403_without_words_is_tried_with_a_new_token(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """Once a minute: then it is a missing permission, which costs no second call."""
    files.put(f"{VOLUME}/one", b"1", overwrite=True)
    double.faults.set(Fault("denied", "files.get", text="Forbidden", times=1))

    assert files.get(f"{VOLUME}/one") == b"1"
    double.faults.set(Fault("denied", "files.get", times=1))
    with pytest.raises(WorkspaceError, match="grant READ VOLUME") as caught:
        files.get(f"{VOLUME}/one")

    assert caught.value.kind == "denied"
    assert double.workspace.tokens.issued == 2


def test_a_personal_token_is_not_renewed(double: Databricks) -> None:
    """If it is refused, that is the error."""
    good = connect({"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN})
    bad = connect({"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": "dapi-other"})

    good.put(f"{VOLUME}/one", b"", overwrite=True)
    with pytest.raises(WorkspaceError, match="refuses our token") as caught:
        bad.put(f"{VOLUME}/one", b"", overwrite=True)

    assert caught.value.kind == "token"
    good.close()
    bad.close()


def test_other_kinds_of_login_use_the_sdk(
    double: Databricks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """For example a profile in its configuration file."""
    pytest.importorskip("databricks.sdk", reason="not needed by a service principal")
    profile = tmp_path / "databrickscfg"
    profile.write_text(f"[other]\nhost = {double.url}\ntoken = {TOKEN}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profile))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "other")
    files = connect({"DATABRICKS_HOST": double.url})

    files.put(f"{VOLUME}/one", b"1", overwrite=True)

    assert files.get(f"{VOLUME}/one") == b"1"
    files.close()


def test_a_failed_login_does_not_quote_the_sdk(
    double: Databricks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The SDK's text may quote the configuration."""
    pytest.importorskip("databricks.sdk", reason="not needed by a service principal")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    files = connect({"DATABRICKS_HOST": double.url})

    with pytest.raises(WorkspaceError, match=r"cannot log in \(ValueError\): set DATABRICKS"):
        files.get(f"{VOLUME}/one")
    files.close()


def test_a_wrong_secret_is_an_error_that_does_not_show_it(double: Databricks) -> None:
    """The text names the variables to check."""
    secret = secrets.token_hex(8)
    files = connect(double.environment() | {"DATABRICKS_CLIENT_SECRET": secret})

    with pytest.raises(WorkspaceError, match="check DATABRICKS_CLIENT_ID") as caught:
        files.put(f"{VOLUME}/one", b"", overwrite=True)

    assert secret not in repr(caught.value) + repr(files) + repr(vars(files))
    files.close()


@pytest.mark.parametrize(
    ("fault", "kind", "words"),
    [
        (
            Fault("denied", times=None),
            "denied",
            "to write into the volume main.cio.landing: grant READ VOLUME and WRITE VOLUME",
        ),
        (Fault("full"), "full", r"takes no more data \(HTTP 507\): raise its quota"),
        (Fault("error"), "busy", r"\(HTTP 500\): if this continues, see the status page"),
        (Fault("throttled"), "busy", r"\(HTTP 429\): if this continues, see who else"),
        (Fault("reset_before"), "unreachable", "does not answer, the connection was interrupted"),
        (Fault("hang", seconds=5), "unreachable", "does not answer, the call timed out"),
    ],
    ids=lambda value: value.action if isinstance(value, Fault) else "",
)
def test_each_fault_has_its_kind_and_advice(
    double: Databricks, files: DatabricksWorkspace, fault: Fault, kind: str, words: str
) -> None:
    """So that an admin knows what to do."""
    fault.operation = "files.put"
    double.faults.set(fault)

    with pytest.raises(WorkspaceError, match=words) as caught:
        files.put(f"{VOLUME}/one", b"", overwrite=True, seconds=0.5)

    assert caught.value.kind == kind


def test_a_missing_permission_to_read_differs_from_one_to_write(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """The admin sees which call failed."""
    double.faults.set(Fault("denied", "files.get", times=None))

    with pytest.raises(
        WorkspaceError, match=r"no permission to read the volume main\.cio\.landing"
    ):
        files.get(f"{VOLUME}/one")


def test_retry_after_is_in_the_error(double: Databricks, files: DatabricksWorkspace) -> None:
    """In seconds, if it is too long to wait for."""
    double.faults.set(Fault("throttled", "files.get", retry_after=60))

    with pytest.raises(WorkspaceError) as caught:
        files.get(f"{VOLUME}/one")

    assert caught.value.retry_after_seconds == 60


@pytest.mark.parametrize(
    "operation", ["files.put", "files.get", "files.delete", "directories.list"]
)
def test_a_call_that_is_refused_with_429_is_repeated(
    double: Databricks, files: DatabricksWorkspace, operation: str
) -> None:
    """After Retry-After, and after a short pause without it; the caller does not notice."""
    pauses: list[float] = []
    again = DatabricksWorkspace(files.host, files.tokens, sleep=pauses.append)
    again.put(f"{VOLUME}/one", b"1", overwrite=True)
    for retry_after in (3, None):
        double.faults.set(Fault("throttled", operation, retry_after=retry_after))

        again.put(f"{VOLUME}/one", b"1", overwrite=True)
        assert again.get(f"{VOLUME}/one") == b"1"
        assert again.names(VOLUME) == ["one"]
        again.delete(f"{VOLUME}/one")

    assert pauses == [3, 0.1]
    assert double.faults.counts[operation] >= 4
    again.close()


def test_a_call_is_not_repeated_beyond_its_time(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """The time of a put is what its caller gives, and that of other calls is limited too."""
    pauses: list[float] = []
    again = DatabricksWorkspace(files.host, files.tokens, sleep=pauses.append)
    double.faults.set(Fault("throttled", "*", times=None, retry_after=21))

    with pytest.raises(WorkspaceError, match="HTTP 429"):
        again.put(f"{VOLUME}/one", b"1", overwrite=True, seconds=20.0)
    with pytest.raises(WorkspaceError, match="HTTP 429"):
        again.get(f"{VOLUME}/one")

    assert pauses == []
    again.close()


def test_a_missing_volume_is_an_error(files: DatabricksWorkspace) -> None:
    """The text has the settings that name it."""
    with pytest.raises(WorkspaceError, match=r"main\.cio\.other does not exist: CREATE VOLUME"):
        files.put("/Volumes/main/cio/other/one", b"", overwrite=True)


def test_an_answer_without_json_is_not_an_empty_folder() -> None:
    """A proxy may answer instead of the workspace."""
    for content in (b"<html>", b"[]"):
        files = answering(200, content)
        with pytest.raises(WorkspaceError, match="does not follow its API"):
            files.names(VOLUME)
        files.close()


def test_other_refusals_have_their_status() -> None:
    """A redirect is not followed."""
    files = answering(302, Location="https://example.com/login")

    with pytest.raises(WorkspaceError, match="HTTP 302") as caught:
        files.get(f"{VOLUME}/one")

    assert caught.value.kind == "refused"
    files.close()


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (httpx2.Response(200, json={"token_type": "Bearer"}), "HTTP 200"),
        (httpx2.Response(503), "HTTP 503"),
        (httpx2.ConnectError("no route"), "does not answer, it accepts no connection"),
    ],
)
def test_the_error_says_why_there_is_no_token(
    answer: httpx2.Response | Exception, words: str
) -> None:
    """For each fault of the token endpoint."""

    def reply(request: httpx2.Request) -> httpx2.Response:
        expected = base64.b64encode(b"me:hidden").decode()
        assert request.headers["Authorization"] == f"Basic {expected}"
        if isinstance(answer, Exception):
            raise answer
        return answer

    client = httpx2.Client(transport=httpx2.MockTransport(reply))
    files = connect(
        {
            "DATABRICKS_HOST": "example.com",
            "DATABRICKS_CLIENT_ID": "me",
            "DATABRICKS_CLIENT_SECRET": "hidden",
        },
        client=client,
    )

    with pytest.raises(WorkspaceError, match=words):
        files.get(f"{VOLUME}/one")
    files.close()


def test_the_host_may_have_no_scheme() -> None:
    """Databricks Apps set it without one."""
    texts = ("https://example.com/", "example.com", " example.com ")

    assert {text: host_url(text) for text in texts} == dict.fromkeys(texts, "https://example.com")


@pytest.mark.parametrize(
    "text", ["", "https://", "ftp://example.com", "https://me@example.com", "example.com/path"]
)
def test_an_unusable_host_is_refused(text: str) -> None:
    """At the start, with the name of the variable."""
    with pytest.raises(SettingsError, match="DATABRICKS_HOST"):
        host_url(text)
