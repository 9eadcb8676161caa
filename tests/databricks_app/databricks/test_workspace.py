"""The workspace's files, and what is said where they cannot be used."""

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
    """Its files, as its service principal."""
    files = connect(double.environment())
    yield files
    files.close()


def answering(status: int, content: bytes = b"{}", **headers: str) -> DatabricksWorkspace:
    """A workspace that always answers so."""
    transport = httpx2.MockTransport(
        lambda _request: httpx2.Response(status, content=content, headers=headers)
    )
    client = httpx2.Client(transport=transport)
    return DatabricksWorkspace(
        "https://example.com", Tokens(lambda: Token("t"), is_renewable=False), client
    )


def test_what_is_put_is_read(files: DatabricksWorkspace) -> None:
    """Byte for byte, under a name with odd characters; folders on the way are made."""
    path = f"{VOLUME}/a b/c%20ü?.bin"

    files.put(path, b"\x00\xff", overwrite=False)

    assert files.get(path) == b"\x00\xff"


def test_a_put_without_overwriting_finds_what_is_there(files: DatabricksWorkspace) -> None:
    """The first one wins; with overwriting the last one does."""
    path = f"{VOLUME}/lease"
    files.put(path, b"one", overwrite=False)

    with pytest.raises(FileExistsError):
        files.put(path, b"two", overwrite=False)
    files.put(path, b"three", overwrite=True)

    assert files.get(path) == b"three"


def test_a_folder_is_listed_page_by_page(double: Databricks, files: DatabricksWorkspace) -> None:
    """Everything in it, however many pages that takes."""
    double.workspace.page_size = 2
    for name in "abcde":
        files.put(f"{VOLUME}/full/{name}", name.encode() * 3, overwrite=True)
    files.put(f"{VOLUME}/full/folder/one", b"", overwrite=True)

    found = list(files.entries(f"{VOLUME}/full"))

    assert found[:5] == [FileEntry(name, 3, is_folder=False) for name in "abcde"]
    assert found[5].is_folder
    assert files.names(f"{VOLUME}/full") == [*"abcde", "folder"]
    assert files.names(f"{VOLUME}/empty") == []


def test_what_is_gone_can_be_removed(files: DatabricksWorkspace) -> None:
    """A file and a folder; a folder with something in it stays."""
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
    """The platform does not always say 401; another 403 is a missing permission."""
    files.put(f"{VOLUME}/one", b"1", overwrite=True)
    double.faults.set(Fault("invalid_token", "files.get", text=text), Fault("denied", "files.put"))

    assert files.get(f"{VOLUME}/one") == b"1"
    with pytest.raises(WorkspaceError) as caught:
        files.put(f"{VOLUME}/one", b"2", overwrite=True)

    assert double.workspace.tokens.issued == 2
    assert caught.value.kind == "denied"


def test_a_personal_token_is_used_as_it_is(double: Databricks) -> None:
    """And where it is refused, that is said."""
    good = connect({"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": TOKEN})
    bad = connect({"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": "dapi-other"})

    good.put(f"{VOLUME}/one", b"", overwrite=True)
    with pytest.raises(WorkspaceError, match="refuses our token") as caught:
        bad.put(f"{VOLUME}/one", b"", overwrite=True)

    assert caught.value.kind == "token"
    good.close()
    bad.close()


def test_other_ways_to_log_in_are_the_sdks(
    double: Databricks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """As a profile in its configuration file."""
    pytest.importorskip("databricks.sdk", reason="not needed by a service principal")
    profile = tmp_path / "databrickscfg"
    profile.write_text(f"[other]\nhost = {double.url}\ntoken = {TOKEN}\n")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(profile))
    monkeypatch.setenv("DATABRICKS_CONFIG_PROFILE", "other")
    files = connect({"DATABRICKS_HOST": double.url})

    files.put(f"{VOLUME}/one", b"1", overwrite=True)

    assert files.get(f"{VOLUME}/one") == b"1"
    files.close()


def test_no_way_to_log_in_is_said_without_its_text(
    double: Databricks, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The SDK's own text may quote the configuration."""
    pytest.importorskip("databricks.sdk", reason="not needed by a service principal")
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "none"))
    files = connect({"DATABRICKS_HOST": double.url})

    with pytest.raises(WorkspaceError, match=r"no way to log in \(ValueError\): set DATABRICKS"):
        files.get(f"{VOLUME}/one")
    files.close()


def test_a_wrong_secret_is_said_and_not_shown(double: Databricks) -> None:
    """The words name the variables to check."""
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
            Fault("denied"),
            "denied",
            "to write into the volume main.cio.landing: grant READ VOLUME and WRITE VOLUME",
        ),
        (Fault("full"), "full", r"takes no more \(HTTP 507\): raise its quota"),
        (Fault("error"), "busy", r"\(HTTP 500\): if this lasts, see the status page"),
        (Fault("throttled"), "busy", r"\(HTTP 429\): if this lasts, see who else"),
        (Fault("reset_before"), "unreachable", "does not answer, connections break off"),
        (Fault("hang", seconds=5), "unreachable", "does not answer, it stays silent"),
    ],
    ids=lambda value: value.action if isinstance(value, Fault) else "",
)
def test_what_is_wrong_is_said_in_words(
    double: Databricks, files: DatabricksWorkspace, fault: Fault, kind: str, words: str
) -> None:
    """So that an admin knows what to do."""
    fault.operation = "files.put"
    double.faults.set(fault)

    with pytest.raises(WorkspaceError, match=words) as caught:
        files.put(f"{VOLUME}/one", b"", overwrite=True, seconds=0.5)

    assert caught.value.kind == kind


def test_a_right_to_read_that_is_missing_is_told_from_one_to_write(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """The admin sees what was tried."""
    double.faults.set(Fault("denied", "files.get"))

    with pytest.raises(
        WorkspaceError, match=r"no permission to read the volume main\.cio\.landing"
    ):
        files.get(f"{VOLUME}/one")


def test_a_pause_that_the_workspace_asks_for_is_told(
    double: Databricks, files: DatabricksWorkspace
) -> None:
    """In seconds."""
    double.faults.set(Fault("throttled", "files.get", retry_after=7))

    with pytest.raises(WorkspaceError) as caught:
        files.get(f"{VOLUME}/one")

    assert caught.value.retry_after_seconds == 7


def test_a_volume_that_is_not_there_is_said(files: DatabricksWorkspace) -> None:
    """With the settings that name it."""
    with pytest.raises(WorkspaceError, match=r"main\.cio\.other does not exist: CREATE VOLUME"):
        files.put("/Volumes/main/cio/other/one", b"", overwrite=True)


def test_an_answer_that_is_no_json_is_not_taken_for_an_empty_folder() -> None:
    """As from something between here and the workspace."""
    for content in (b"<html>", b"[]"):
        files = answering(200, content)
        with pytest.raises(WorkspaceError, match="not what its API promises"):
            files.names(VOLUME)
        files.close()


def test_other_refusals_are_told_by_their_status() -> None:
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
        (httpx2.ConnectError("no route"), "does not answer, it takes no connection"),
    ],
)
def test_why_there_is_no_token_is_said(answer: httpx2.Response | Exception, words: str) -> None:
    """Whatever the token endpoint does."""

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


@pytest.mark.parametrize("text", ["https://example.com/", "example.com", " example.com "])
def test_the_host_may_come_without_a_scheme(text: str) -> None:
    """As a Databricks App is given it."""
    assert host_url(text) == "https://example.com"


@pytest.mark.parametrize(
    "text", ["", "https://", "ftp://example.com", "https://me@example.com", "example.com/path"]
)
def test_a_host_that_is_none_is_refused(text: str) -> None:
    """At the start, with the name of the variable."""
    with pytest.raises(SettingsError, match="DATABRICKS_HOST must name"):
        host_url(text)
