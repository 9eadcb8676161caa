"""`ciolake send` posts one signed event, and says what to do when it is refused."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.webhooks import specification
from core.webhooks.signature import verify
from databricks_app.cli.send import send
from tests.support.loopback_receiver import KEY, LoopbackReceiver, unused_destination

KEY_TEXT = "loopback-key"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder with nothing configured."""
    monkeypatch.chdir(tmp_path)
    for name in ("CIO_WEBHOOK_SIGNING_KEYS", "PORT", "DATABRICKS_APP_PORT", "DATABRICKS_APP_NAME"):
        monkeypatch.delenv(name, raising=False)


def run(*arguments: str, key: str | None = KEY_TEXT, stdin: bytes | None = None) -> Result:
    """Run the command with this key in the environment; None: unset."""
    env = {"CIO_WEBHOOK_SIGNING_KEYS": key}
    return CliRunner().invoke(send, arguments, input=stdin, env=env)


def test_send_posts_a_file_byte_for_byte(tmp_path: Path) -> None:
    """Neither spaces nor bytes that are not text are changed."""
    body = b'{ "event_id":"x\xff" }\n'
    (tmp_path / "event.json").write_bytes(body)

    with LoopbackReceiver() as receiver:
        result = run("event.json", "--url", receiver.url)

    assert result.exit_code == 0
    assert "200" in result.stdout
    assert receiver.bodies == [body]


def test_send_posts_standard_input() -> None:
    """A dash stands for standard input."""
    with LoopbackReceiver() as receiver:
        result = run("-", "--url", receiver.url, stdin=b'{"event_id": "piped"}')

    assert result.exit_code == 0
    assert receiver.bodies == [b'{"event_id": "piped"}']


def test_send_without_file_posts_a_sample() -> None:
    """Nothing but a running receiver is needed for a first event; each has an id of its own."""
    with LoopbackReceiver() as receiver:
        results = [run("--url", receiver.url) for _ in range(2)]

    first, second = (json.loads(body) for body in receiver.bodies)
    assert [result.exit_code for result in results] == [0, 0]
    assert (first["object_type"], first["metric"]) == ("email", "delivered")
    assert first["event_id"] != second["event_id"]


def test_send_posts_a_sample_of_the_kind_that_was_asked_for() -> None:
    """The kind, the id and the content are the caller's choice."""
    with LoopbackReceiver() as receiver:
        result = run(
            *("--sample", "push/sent", "--with-content", "--event-id", "mine"),
            *("--url", receiver.url, "--print"),
        )

    event = json.loads(receiver.bodies[0])
    assert (event["object_type"], event["metric"], event["event_id"]) == ("push", "sent", "mine")
    assert "content" in event["data"]
    assert receiver.bodies[0].decode() in result.stdout


def test_send_lists_every_kind_of_event() -> None:
    """Each name in the list is one that --sample takes."""
    result = run("--list", key=None)

    names = [line.split()[0] for line in result.stdout.splitlines()]
    assert names == [f"{kind.object_type}/{kind.metric}" for kind in specification.events()]
    assert result.stdout.count("inferred") == 4


def test_send_reads_the_key_and_port_from_the_env_file(tmp_path: Path) -> None:
    """In the folder where the receiver made its key, nothing needs to be said."""
    with LoopbackReceiver() as receiver:
        port = receiver.destination.port
        (tmp_path / ".env").write_text(f"CIO_WEBHOOK_SIGNING_KEYS={KEY_TEXT},old\nPORT={port}\n")
        result = run(key=None)

    assert result.exit_code == 0
    assert len(receiver.bodies) == 1


def test_send_takes_the_key_from_another_variable(tmp_path: Path) -> None:
    """The variable is named, the key is not."""
    (tmp_path / ".env").write_text(f"STAGING_KEY={KEY_TEXT}\n")

    with LoopbackReceiver() as receiver:
        result = run("--key-env", "STAGING_KEY", "--url", receiver.url, key="another")

    assert result.exit_code == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--sample", "email/openend"), "--list"),
        (("--sample", "email"), "--list"),
        (("missing.json",), "missing.json"),
        (("-", "--sample", "email/sent"), "cannot be used with a FILE"),
        (("-", "--event-id", "x"), "JSON"),
        (("--url", "localhost"), "http"),
    ],
)
def test_send_explains_a_mistake_in_the_command(arguments: tuple[str, ...], words: str) -> None:
    """A usage error exits with 2 and says what is wrong."""
    result = run(*arguments, stdin=b"no json")

    assert result.exit_code == 2
    assert words in result.stderr


def test_send_puts_an_id_into_objects_only() -> None:
    """An array has no event id."""
    result = run("-", "--event-id", "x", stdin=b"[]")

    assert result.exit_code == 2
    assert "object" in result.stderr


@pytest.mark.parametrize("key", [None, "", " , "])
def test_send_without_a_key_says_which_variable_to_set(key: str | None) -> None:
    """No key, no post."""
    result = run(key=key)

    assert result.exit_code == 2
    assert "CIO_WEBHOOK_SIGNING_KEYS" in result.stderr


def test_send_with_a_wrong_key_names_its_fingerprint_but_not_the_key() -> None:
    """A 401 exits with 1 and names the fingerprint of the key that was used."""
    with LoopbackReceiver() as receiver:
        result = run("--url", receiver.url, key="wrong-secret")

    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "539e915a" in result.stderr
    assert "wrong-secret" not in result.output


def test_send_with_a_stale_timestamp_is_refused() -> None:
    """The offset reaches the signed timestamp, so that the window can be tried."""
    with LoopbackReceiver() as receiver:
        inside = run("--url", receiver.url, "--timestamp-offset", "-200")
        outside = run("--url", receiver.url, "--timestamp-offset", "-400")

    assert (inside.exit_code, outside.exit_code) == (0, 1)
    assert "clock" in outside.stderr


@pytest.mark.parametrize(
    ("status", "words"),
    [(503, "inbox"), (404, "this path does not exist"), (302, "redirect"), (418, "in front")],
)
def test_send_says_what_to_do_about_a_refusal(status: int, words: str) -> None:
    """Each kind of refusal has its advice, after what the receiver said itself."""
    with LoopbackReceiver(status=lambda _: status, text=b"no room") as receiver:
        result = run("--url", receiver.url)

    assert result.exit_code == 1
    assert str(status) in result.stderr
    assert "The answer was: no room" in result.stderr
    assert words in result.stderr


def test_send_to_nobody_asks_whether_it_is_running() -> None:
    """A refused connection exits with 2."""
    result = run("--url", unused_destination().url)

    assert result.exit_code == 2
    assert "ciolake serve" in result.stderr


def test_send_gives_up_on_a_silent_receiver() -> None:
    """Nothing is acknowledged without an answer in time."""
    with LoopbackReceiver(hangs=lambda _: True) as receiver:
        result = run("--url", receiver.url, "--timeout", "0.1")

    assert result.exit_code == 2
    assert "in time" in result.stderr


def test_send_dry_run_prints_a_request_that_would_be_accepted() -> None:
    """The printed command holds a valid signature of the printed body, and nothing is sent."""
    body = '{"event_id": "it\'s @ 1"}'

    result = run("-", "--dry-run", "--url", "http://127.0.0.1:1", stdin=body.encode())

    words = shlex.split(result.stdout)
    headers = dict(word.split(": ", 1) for word in words if word.startswith("X-CIO-"))
    timestamp = headers["X-CIO-Timestamp"].encode()
    signature = headers["X-CIO-Signature"].encode()
    verdict = verify((KEY,), signature, timestamp, body.encode(), now=int(timestamp))
    assert result.exit_code == 0
    assert words[:4] == ["curl", "-i", "-X", "POST"]
    assert words[-2:] == ["--data-raw", body]
    assert verdict.refusal is None
    assert KEY_TEXT not in result.output


def test_send_dry_run_of_a_file_names_the_file(tmp_path: Path) -> None:
    """A body that stands in a file is not printed."""
    (tmp_path / "event.bin").write_bytes(b"\xff")

    from_file = run("event.bin", "--dry-run")
    from_pipe = run("-", "--dry-run", stdin=b"\xff")

    assert shlex.split(from_file.stdout)[-2:] == ["--data-binary", "@event.bin"]
    assert from_pipe.exit_code == 2
    assert "FILE" in from_pipe.stderr
