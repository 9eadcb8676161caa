"""The steps of setting up a webhook: keys, our own signed event, addresses, silence of a key."""

from __future__ import annotations

import json
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.webhooks.sender import PostResponse
from core.webhooks.signature import SigningKey
from databricks_app.lake.local.query import LocalQuery
from databricks_app.operations.webhooks.addresses import AddressError, networks, plain
from databricks_app.operations.webhooks.advice import fault_of
from databricks_app.operations.webhooks.arrival import see_in_folder
from databricks_app.operations.webhooks.canary import (
    EndpointError,
    canary,
    post,
    post_until_accepted,
)
from databricks_app.operations.webhooks.keys import (
    DatabricksSecret,
    EnvFile,
    KeyStoreError,
    checked,
)
from databricks_app.operations.webhooks.rotation import (
    KeyUsage,
    RotationError,
    read_metrics,
    requests_by_key,
    wait_until_silent,
)
from databricks_app.runtime.metrics import Metrics
from databricks_app.settings import environment, from_environment
from tests.doubles import TOKEN, Databricks
from tests.support.loopback_receiver import KEY, LoopbackReceiver, unused_destination

NOW = 1_700_000_000.0
EVENT = canary("abc123", NOW)
TEXTS = st.text("abcXYZ019_.:/+=~@^-", min_size=8, max_size=20).filter(
    lambda text: not text.startswith("dev_")
)


class Time:
    """Seconds that pass only by sleeping."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self) -> float:
        """Return the seconds that were slept."""
        return self.at

    def sleep(self, seconds: float) -> None:
        """Let them pass."""
        self.at += seconds


def test_env_file_keeps_all_else_and_is_its_owners_alone(tmp_path: Path) -> None:
    """Comments, other settings and their order stay; the last line need not end with a newline."""
    path = tmp_path / ".env"
    path.write_text("# mine\nPORT=9000\nexport CIO_WEBHOOK_SIGNING_KEYS='old-key-1'\nA='x y'")
    store = EnvFile(path, {})

    before = store.read()
    store.put(("new-key-1", *before))

    assert before == ("old-key-1",)
    assert path.read_text() == (
        "# mine\nPORT=9000\nA='x y'\nCIO_WEBHOOK_SIGNING_KEYS=new-key-1,old-key-1\n"
    )
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


@given(st.lists(TEXTS, min_size=1, max_size=3, unique=True))
def test_env_file_gives_back_what_was_put_and_the_receiver_reads_the_same(
    tmp_path_factory: pytest.TempPathFactory, keys: list[str]
) -> None:
    """No key that passes `checked` is changed on the way."""
    path = tmp_path_factory.mktemp("env") / ".env"

    EnvFile(path, {}).put([checked(f" {key}\n") for key in keys])

    settings = from_environment(environment({}, path))
    assert EnvFile(path, {}).read() == tuple(keys)
    assert settings.signing_keys == tuple(map(SigningKey.from_text, keys))


def test_env_file_leaves_development_keys_out(tmp_path: Path) -> None:
    """A webhook of Customer.io is never signed with one."""
    path = tmp_path / ".env"
    path.write_text("CIO_WEBHOOK_SIGNING_KEYS=dev_0123456789\n")

    assert EnvFile(path, {}).read() == ()
    assert EnvFile(tmp_path / "none", {}).read() == ()


def test_an_env_file_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    """Overruled by the environment, a folder, not text; the reason is named, no key is."""
    (tmp_path / "folder").mkdir()
    (tmp_path / "binary").write_bytes(b"\xff")

    with pytest.raises(KeyStoreError, match="overrides"):
        EnvFile(tmp_path / ".env", {"CIO_WEBHOOK_SIGNING_KEYS": ""}).put(["key-0001"])
    with pytest.raises(KeyStoreError, match="cannot be read"):
        EnvFile(tmp_path / "folder", {}).read()
    with pytest.raises(KeyStoreError, match="not UTF-8"):
        EnvFile(tmp_path / "binary", {}).read()
    with pytest.raises(KeyStoreError, match="cannot be written"):
        EnvFile(tmp_path / "nowhere" / ".env", {}).put(["key-0001"])


@pytest.mark.parametrize(
    "text", ["", "short", "two words here", "a,b,c,d,e,f", "ключ-ключ", "#" * 9]
)
def test_checked_refuses_what_is_no_key_without_showing_it(text: str) -> None:
    """Such as a whole sentence that was pasted."""
    with pytest.raises(KeyStoreError) as caught:
        checked(text)

    assert not text or text not in str(caught.value)


def test_databricks_secret_is_kept_and_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Through the unmodified SDK; a secret that is not there is no key, a missing scope is told."""
    from databricks.sdk import WorkspaceClient

    with Databricks(tmp_path) as double:
        monkeypatch.setenv("DATABRICKS_HOST", double.url)
        monkeypatch.setenv("DATABRICKS_TOKEN", TOKEN)
        WorkspaceClient().secrets.create_scope("hooks")
        store = DatabricksSecret(WorkspaceClient, "hooks", "keys")

        assert store.read() == ()
        store.put(("new-key-1", "old-key-1"))
        assert store.read() == ("new-key-1", "old-key-1")
        with pytest.raises(KeyStoreError, match=r"refuses access to the secret other/keys \(\w+\)"):
            DatabricksSecret(WorkspaceClient, "other", "keys").put(("secret-key",))
        monkeypatch.setenv("DATABRICKS_TOKEN", "wrong")
        with pytest.raises(KeyStoreError, match="refuses access to the secret hooks/keys"):
            store.read()


def test_a_canary_is_accepted_and_is_not_a_message() -> None:
    """Signed as Customer.io signs; its kind belongs to no table of messages."""
    with LoopbackReceiver() as receiver:
        post(receiver.url, KEY, canary("x1", _now()), _now())

    event = json.loads(receiver.bodies[0])
    assert (event["event_id"], event["object_type"]) == ("ciolake-canary-x1", "ciolake")
    assert receiver.paths == ["/"]


def _now() -> float:
    import time

    return time.time()


def test_fault_of_explains_every_unexpected_answer() -> None:
    """Each text says what is wrong and, in a second sentence, what to do."""
    cases = [
        (302, "", "redirect (302)"),
        (308, "Moved", "redirect (308)"),
        (200, "<!DOCTYPE html> Sign in", "web page (200)"),
        (401, "<html>Log in", "web page (401)"),
        (401, '{"error": "token"}', "in front of the receiver refuses the request (401)"),
        (403, "no", "in front of the receiver refuses the request (403)"),
        (401, "", "401 instead of 200: the receiver does not have this signing key"),
        (404, "", "404 instead of 200: this path does not exist"),
        (405, "", "405 instead of 200: this path does not accept POST"),
        (503, "", "503 instead of 200: the receiver cannot store events now"),
        (204, "", "204 instead of 200: the receiver never answers this"),
        (500, "oops", "500 instead of 200: the receiver never answers this"),
    ]

    faults = [(words, fault_of(PostResponse(status, text, 0.1))) for status, text, words in cases]

    assert [(words, fault) for words, fault in faults if words not in (fault or "")] == []


def test_fault_of_an_accepted_event_is_none() -> None:
    """200, with an empty body as ours or with the short one of a proxy."""
    assert fault_of(PostResponse(200, "", 0.1)) is None
    assert fault_of(PostResponse(200, "ok", 0.1)) is None


def test_post_reports_a_refused_connection() -> None:
    """And that it may pass, as when the receiver is just starting."""
    url = unused_destination().url

    with pytest.raises(EndpointError, match="no server listens there") as caught:
        post(url, KEY, EVENT, NOW)

    assert caught.value.is_temporary


def test_post_until_accepted_waits_until_the_receiver_has_the_key() -> None:
    """The same event each time, so it arrives once."""
    time = Time()
    with LoopbackReceiver(status=lambda number: 200 if number == 2 else 401) as receiver:
        post_until_accepted(
            receiver.url, KEY, EVENT, seconds=60, now=_now, monotonic=time, sleep=time.sleep
        )

    assert receiver.bodies == [EVENT.body]
    assert len(receiver.paths) == 3


@pytest.mark.parametrize(("status", "posts"), [(401, 5), (302, 1), (500, 1)])
def test_post_until_accepted_gives_up_in_time_or_at_once(status: int, posts: int) -> None:
    """What time does not mend is told at once."""
    time = Time()
    with (
        LoopbackReceiver(status=lambda _: status) as receiver,
        pytest.raises(EndpointError, match=str(status)),
    ):
        post_until_accepted(
            receiver.url, KEY, EVENT, seconds=2, now=_now, monotonic=time, sleep=time.sleep
        )

    assert len(receiver.paths) == posts


def test_a_row_that_does_not_appear_is_an_error_in_time(tmp_path: Path) -> None:
    """No table yet is an empty one."""
    time = Time()

    with pytest.raises(EndpointError, match=r"after 1 s it is not in the tables"):
        see_in_folder(
            *(LocalQuery(tmp_path), tmp_path, EVENT),
            seconds=1,
            monotonic=time,
            sleep=time.sleep,
        )

    assert time() == 1.0


def test_networks_are_each_once_and_in_order() -> None:
    """Single addresses and ranges of both versions, those of IPv4 first."""
    found = networks(["203.0.113.7", " 2001:db8::/32", "198.51.100.0/24", "203.0.113.7"])

    assert [str(one) for one in found] == ["198.51.100.0/24", "203.0.113.7/32", "2001:db8::/32"]
    assert [plain(one) for one in found] == ["198.51.100.0/24", "203.0.113.7", "2001:db8::/32"]


@pytest.mark.parametrize("texts", [[], ["203.0.113.7", "; drop"], ["203.0.113.7/8"]])
def test_networks_refuses_what_is_no_address(texts: list[str]) -> None:
    """An answer that cannot be right becomes no firewall rule."""
    with pytest.raises(AddressError):
        networks(texts)


def test_requests_by_key_reads_what_the_receiver_counts() -> None:
    """Accepted and stale ones, by fingerprint; what no key matched is left out."""
    metrics = Metrics()
    metrics.accepted.labels("aaaaaaaa").inc(3)
    metrics.accepted.labels("bbbbbbbb").inc()
    metrics.rejected.labels("stale_timestamp", "aaaaaaaa").inc()
    metrics.rejected.labels("wrong_signature", "").inc(9)

    found = requests_by_key(metrics.exposition().decode())

    assert found == {"aaaaaaaa": 4.0, "bbbbbbbb": 1.0}


@pytest.mark.parametrize("text", ["", "<html>", "# TYPE other counter\nother_total 1\n", "a{ 1"])
def test_requests_by_key_refuses_what_no_receiver_says(text: str) -> None:
    """A login page is not taken for silence."""
    with pytest.raises(RotationError, match="does not count events by key"):
        requests_by_key(text)


@pytest.mark.parametrize(
    ("status", "words"), [(403, "CIO_ADMIN_TOKEN"), (404, "answers 404"), (302, "answers 302")]
)
def test_read_metrics_says_what_is_wrong(status: int, words: str) -> None:
    """Which address, and what to set."""
    import http.server
    import threading

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    url = f"http://127.0.0.1:{server.server_port}/metrics"
    try:
        with pytest.raises(RotationError, match=words):
            read_metrics(url, "a token")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    with pytest.raises(RotationError, match=f"{url} does not answer"):
        read_metrics(url)


def test_watch_lets_the_old_key_go_after_silence_in_use_of_the_new() -> None:
    """Silence alone is not enough: nothing may have been sent at all."""
    watch = KeyUsage().seen(5, 1, 0).seen(5, 1, 100)
    assert not watch.may_retire(100, 60)

    watch = watch.seen(5, 2, 110)
    assert watch.may_retire(110, 60)

    watch = watch.seen(6, 3, 120)
    assert not watch.may_retire(120, 60)
    assert watch.seen(6, 3, 180).may_retire(180, 60)


def test_watch_begins_anew_when_the_receiver_has_started_again() -> None:
    """What a count missed is unknown."""
    watch = KeyUsage().seen(5, 1, 0).seen(5, 9, 50).seen(0, 0, 60)

    assert not watch.may_retire(100, 60)
    assert watch.seen(0, 1, 120).may_retire(120, 60)


def test_wait_until_silent_reports_each_change_once() -> None:
    """And ends when the old key has been silent for so long."""
    time, said = Time(), list[str]()
    looks = iter([{"old": 4.0}, {"old": 5.0, "new": 1.0}, *({"old": 5.0, "new": 2.0},) * 9])

    wait_until_silent(
        lambda: next(looks),
        "old",
        "new",
        silent_seconds=30,
        look_seconds=10,
        on_progress=said.append,
        monotonic=time,
        sleep=time.sleep,
    )

    assert time() == 40.0
    assert said == [
        "requests with key old (old): 4; with new (new): 0",
        "requests with key old (old): 5; with new (new): 1",
        "requests with key old (old): 5; with new (new): 2",
    ]


def test_time_without_counts_is_not_silence() -> None:
    """A receiver that is just deployed again ends no wait, and no key goes unseen."""
    time, said = Time(), list[str]()

    def look() -> dict[str, float]:
        if time() == 20:
            raise RotationError("it does not answer")
        return {"old": 1.0, "new": 1.0 if time() == 0 else 2.0}

    wait_until_silent(
        look,
        "old",
        "new",
        silent_seconds=30,
        look_seconds=10,
        on_progress=said.append,
        monotonic=time,
        sleep=time.sleep,
    )

    assert time() == 50.0
    assert "it does not answer; trying again" in said


def test_wait_until_silent_that_never_saw_counts_gives_up() -> None:
    """A wrong address is told at once."""
    time = Time()

    with pytest.raises(RotationError, match="does not count events by key"):
        wait_until_silent(
            lambda: requests_by_key("<html>"),
            "old",
            "new",
            silent_seconds=30,
            look_seconds=10,
            on_progress=lambda _: None,
            monotonic=time,
            sleep=time.sleep,
        )
