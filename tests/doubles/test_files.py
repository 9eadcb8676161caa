"""The Files API and OAuth of the double, tested through the unmodified SDK."""

from __future__ import annotations

import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from databricks.sdk import WorkspaceClient
from databricks.sdk.errors import (
    AlreadyExists,
    BadRequest,
    DatabricksError,
    NotFound,
    PermissionDenied,
)

from tests.doubles import CLIENT_ID, TOKEN, USER, Databricks, Fault, relaxed

VOLUME = "/Volumes/main/cio/events"


def put(client: WorkspaceClient, name: str, content: bytes, **more: bool) -> None:
    """Upload a file."""
    client.files.upload(f"{VOLUME}/{name}", io.BytesIO(content), **more)  # type: ignore[arg-type]


def test_a_file_is_read_back_unchanged(client: WorkspaceClient, double: Databricks) -> None:
    """The download has the same bytes, which are also in the volume's local folder."""
    put(client, "a folder/ü.bin", b"\x00\xff")

    found = client.files.download(f"{VOLUME}/a folder/ü.bin").contents
    local = double.workspace.catalog.local_path(f"{VOLUME}/a folder/ü.bin")

    assert found is not None
    assert found.read() == b"\x00\xff" == local.read_bytes()


def test_metadata_has_length_and_time(client: WorkspaceClient) -> None:
    """HEAD returns the length of a file and when it was modified."""
    put(client, "one", b"12345")

    found = client.files.get_metadata(f"{VOLUME}/one")

    assert found.content_length == 5
    assert found.last_modified


def test_a_put_without_overwrite_keeps_the_existing_file(client: WorkspaceClient) -> None:
    """The second put is refused and changes nothing."""
    put(client, "one", b"first", overwrite=False)

    with pytest.raises(AlreadyExists):
        put(client, "one", b"second", overwrite=False)

    found = client.files.download(f"{VOLUME}/one").contents
    assert found is not None
    assert found.read() == b"first"


def test_one_of_many_puts_without_overwrite_succeeds(double: Databricks) -> None:
    """The put without overwrite is an atomic test-and-set."""
    url = f"{double.url}/api/2.0/fs/files{VOLUME}/lease?overwrite=false"
    headers = {"Authorization": f"Bearer {TOKEN}"}

    with ThreadPoolExecutor(8) as pool:
        answers = list(
            pool.map(
                lambda name: requests.put(url, data=str(name), headers=headers, timeout=5),
                range(8),
            )
        )

    assert sorted(one.status_code for one in answers) == [204] + [409] * 7


def test_256_concurrent_puts_are_served(tmp_path: Path) -> None:
    """256 puts with a latency of 0.15 s run at the same time."""
    headers = {"Authorization": f"Bearer {TOKEN}"}
    why = "it tests the double's own server, not the platform's limits"
    with Databricks(tmp_path, volume="main.cio.events", limits=relaxed(why)) as double:
        double.faults.set(Fault("latency", operation="files.put", seconds=0.15, times=None))
        url = f"{double.url}/api/2.0/fs/files{VOLUME}"

        def send(name: int) -> int:
            body = b"x" * 1000
            return requests.put(f"{url}/{name}", data=body, headers=headers, timeout=20).status_code

        start = time.monotonic()
        with ThreadPoolExecutor(256) as pool:
            answers = list(pool.map(send, range(256)))
        seconds = time.monotonic() - start

    assert answers == [204] * 256
    assert seconds < 15  # one after the other they would take 38 s
    assert double.faults.counts["files.put"] == 256


def test_a_folder_is_listed_in_pages(client: WorkspaceClient, double: Databricks) -> None:
    """The SDK follows the page tokens of a folder larger than a page."""
    double.workspace.page_size = 3
    for number in range(8):
        put(client, f"inbox/{number}", b"x")

    names = [entry.name for entry in client.files.list_directory_contents(f"{VOLUME}/inbox")]

    assert names == [str(number) for number in range(8)]
    assert double.faults.counts["directories.list"] == 3


def test_folders_are_created_and_deleted_when_empty(client: WorkspaceClient) -> None:
    """A folder can be created twice, and deleted only when it is empty."""
    client.files.create_directory(f"{VOLUME}/a/b")
    client.files.create_directory(f"{VOLUME}/a/b")
    put(client, "a/b/one", b"x")

    with pytest.raises(BadRequest, match="not empty"):
        client.files.delete_directory(f"{VOLUME}/a/b")
    client.files.delete(f"{VOLUME}/a/b/one")
    client.files.delete_directory(f"{VOLUME}/a/b")

    with pytest.raises(NotFound):
        client.files.get_directory_metadata(f"{VOLUME}/a/b")


def test_a_missing_file_folder_or_volume_is_not_found(client: WorkspaceClient) -> None:
    """Every operation on it is answered 404."""
    with pytest.raises(NotFound):
        client.files.download(f"{VOLUME}/none")
    with pytest.raises(NotFound):
        client.files.delete(f"{VOLUME}/none")
    with pytest.raises(NotFound):
        list(client.files.list_directory_contents(f"{VOLUME}/none"))
    with pytest.raises(NotFound, match="does not exist"):
        client.files.upload("/Volumes/main/cio/other/x", io.BytesIO(b"x"))


def test_a_large_upload_falls_back_to_one_put(client: WorkspaceClient, double: Databricks) -> None:
    """From 50 MiB on the SDK asks for presigned URLs, gets none, and sends one put."""
    put(client, "large", bytes(51 << 20))

    assert double.faults.counts["files.initiate"] == 1
    assert client.files.get_metadata(f"{VOLUME}/large").content_length == 51 << 20


def test_a_revoked_token_is_refused(client: WorkspaceClient, double: Databricks) -> None:
    """It is answered 403, as seen from the platform."""
    assert client.current_user.me().user_name == CLIENT_ID
    double.workspace.tokens.revoke_all()

    with pytest.raises(PermissionDenied, match="Invalid access token"):
        client.current_user.me()


def test_a_token_expires(double: Databricks) -> None:
    """A token is accepted at first, and is answered 401 after its lifetime."""
    double.workspace.tokens.seconds = 0.2
    token = double.workspace.tokens.issue(CLIENT_ID)
    url, headers = f"{double.url}/api/2.0/preview/scim/v2/Me", {"Authorization": f"Bearer {token}"}

    seen: list[int] = []
    deadline = time.monotonic() + 5
    while not seen or seen[-1] != 401:
        seen.append(requests.get(url, headers=headers, timeout=5).status_code)
        assert time.monotonic() < deadline

    assert seen[0] == 200
    assert set(seen) <= {200, 403, 401}


def test_a_token_that_is_about_to_expire_is_refused(double: Databricks) -> None:
    """In the last 30 s of its life it is answered 403."""
    double.workspace.tokens.seconds = 3600
    good = double.workspace.tokens.issue(CLIENT_ID)
    double.workspace.tokens.seconds = 120
    double.workspace.tokens.clock = lambda: time.monotonic() - 91
    late = double.workspace.tokens.issue(CLIENT_ID)
    double.workspace.tokens.clock = time.monotonic
    url = f"{double.url}/api/2.0/preview/scim/v2/Me"

    answers = [
        requests.get(url, headers={"Authorization": f"Bearer {token}"}, timeout=5)
        for token in (good, late)
    ]

    assert [one.status_code for one in answers] == [200, 403]
    assert "expiring within 30 seconds" in answers[1].text


def test_a_personal_access_token_needs_no_oauth(double: Databricks) -> None:
    """The caller is the user of the token."""
    client = WorkspaceClient(host=double.url, token=TOKEN)

    assert client.current_user.me().user_name == USER
    assert double.faults.counts["auth.token"] == 0


def test_a_wrong_secret_gets_no_token(double: Databricks) -> None:
    """The token endpoint refuses a client with a wrong secret."""
    answer = requests.post(
        f"{double.url}/oidc/v1/token",
        data={"grant_type": "client_credentials"},
        auth=(CLIENT_ID, "wrong"),
        timeout=5,
    )

    assert answer.status_code == 401


def test_an_unknown_route_is_not_found(double: Databricks, client: WorkspaceClient) -> None:
    """It is answered 404 with the path."""
    with pytest.raises(DatabricksError, match=r"No API found for 'GET /api/2.0/clusters/x'"):
        client.api_client.do("GET", "/api/2.0/clusters/x")
    assert double.faults.failed["unknown"] == 1
