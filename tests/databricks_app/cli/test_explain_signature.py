"""`ciolake explain-signature` explains a captured request, in the forms that tools show."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from core.webhooks.signature import SigningKey, sign
from databricks_app.cli import ciolake

KEY = "755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa"
OTHER = "0c8f5c4e7d1b4a0f9b5a7c3e2d1f6a8b4c9d0e1f2a3b4c5d6e7f8a9b0c1d2e3f"
EVENT = {"event_id": "e1", "data": {"recipient": "ada@example.com", "subject": "Grüße <b>"}}
BODY = json.dumps(EVENT, ensure_ascii=False, separators=(",", ":")).encode()
TIMESTAMP = "1700000000"


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run each test in an empty folder with nothing configured."""
    monkeypatch.chdir(tmp_path)
    for name in ("CIO_WEBHOOK_SIGNING_KEYS", "CIO_WORKSPACES"):
        monkeypatch.delenv(name, raising=False)


def run(
    *arguments: str, keys: str | None = KEY, stdin: bytes | str | None = None, **env: str
) -> Result:
    """Run the command. Whatever it says, it shows no key and nothing of the body."""
    variables = {"CIO_WEBHOOK_SIGNING_KEYS": keys, **env}
    result = CliRunner().invoke(
        ciolake, ["explain-signature", *arguments], input=stdin, env=variables
    )
    for secret in (KEY, OTHER, "ada@", "Gr"):
        assert secret not in result.output
    return result


def signature(body: bytes = BODY, key: str = KEY) -> str:
    """The signature with a key exactly as it is written."""
    return sign(SigningKey(key.encode(), ""), TIMESTAMP, body)


def captured(
    body: bytes, signature: str, *headers: str, end: str = "\r\n", name: str = "request.txt"
) -> str:
    """Write a request as HTTP sends it; return the name of the file."""
    lines = [
        "POST /api/webhooks/customerio HTTP/1.1",
        "Host: example.com",
        f"x-cio-timestamp: {TIMESTAMP}",
        f"X-CIO-Signature: {signature}",
        *headers,
        "",
        "",
    ]
    Path(name).write_bytes(end.join(lines).encode() + body)
    return name


@pytest.mark.parametrize("end", ["\r\n", "\n"])
def test_a_valid_request_is_valid(end: str) -> None:
    """The key is named by its fingerprint and workspace; old timestamps are only mentioned."""
    fingerprint = SigningKey.from_text(KEY).fingerprint

    result = run(captured(BODY, signature(), end=end), CIO_WORKSPACES=f"shop:{fingerprint}")

    assert result.exit_code == 0
    assert f"valid: the signature fits the key {fingerprint} of the workspace shop" in result.output
    assert "--received-at" in result.output


@pytest.mark.parametrize(
    ("received_at", "code"),
    [("1700000300", 0), ("1700000301", 1), ("2023-11-14T22:13:20+00:00", 0)],
)
def test_the_time_of_arrival_decides_whether_it_is_stale(received_at: str, code: int) -> None:
    """Not the time at which it is explained."""
    result = run(captured(BODY, signature()), "--received-at", received_at)

    assert result.exit_code == code
    assert ("stale" in result.output) is bool(code)


@pytest.mark.parametrize(
    ("received", "signature", "fault"),
    [
        (json.dumps(EVENT).encode(), signature(), "reencoded_body"),
        (BODY + b"\n", signature(), "reencoded_body"),
        (BODY, signature(key=f'"{KEY}"'), "quoted_key"),
        (BODY, signature(key=base64.b64encode(KEY.encode()).decode()), "encoded_key"),
        (BODY, base64.b64encode(bytes.fromhex(signature())).decode(), "base64_signature"),
        (BODY, signature(key=OTHER), "unknown"),
        (BODY, f"sha256={signature()}", "malformed_header"),
    ],
)
def test_a_fault_is_named_with_its_fix(received: bytes, signature: str, fault: str) -> None:
    """The exit code is 1."""
    result = run(captured(received, signature))

    assert result.exit_code == 1
    assert result.output.startswith(f"{fault}: the request ")
    assert "\nfix: " in result.output


def test_the_key_of_another_workspace_is_named() -> None:
    """From a file, or from the settings if other keys are expected."""
    Path("expected").write_text(f"{OTHER}\n")
    Path("other").write_text(f"one,{OTHER}\r\n\ntwo\n")
    fingerprint = SigningKey.from_text(OTHER).fingerprint

    by_file = run(captured(BODY, signature(key=OTHER)), "--other-key-file", "other")
    by_settings = run(captured(BODY, signature()), "--key-file", "expected")

    assert (by_file.exit_code, by_settings.exit_code) == (1, 1)
    assert "other_key" in by_file.output
    assert f"fits the key {fingerprint}" in by_file.output
    assert "other_key" in by_settings.output


def test_a_key_can_be_asked_for() -> None:
    """It is not shown; quotes around it are a fault to explain."""
    file = captured(BODY, signature())

    right = run(file, "--ask-key", keys=None, stdin=f"{KEY}\n")
    quoted = run(file, "--ask-key", keys=None, stdin=f'"{KEY}"\n')

    assert right.exit_code == 0
    assert quoted.exit_code == 1
    assert "quoted_key: " in quoted.output


def test_the_parts_can_be_given() -> None:
    """The body in a file, byte by byte."""
    Path("body").write_bytes(BODY)
    parts = ("--body", "body", "--timestamp", TIMESTAMP, "--signature")

    assert run(*parts, signature()).exit_code == 0
    assert run(*parts, signature(b"")).exit_code == 1


def test_a_curl_command_is_read(tmp_path: Path) -> None:
    """As `ciolake send --dry-run` prints it, with the body or with a file."""
    (tmp_path / "event.json").write_bytes(BODY + b"\xff\n")
    key = {"CIO_WEBHOOK_SIGNING_KEYS": KEY, "PORT": "8000"}
    commands = [
        CliRunner().invoke(ciolake, ["send", *file, "--dry-run"], env=key).stdout_bytes
        for file in ((), ("event.json",))
    ]

    results = [run("-", stdin=command) for command in commands]
    changed = run("-", stdin=commands[0].replace(b'"event_id": "', b'"event_id": "x'))

    assert [one.exit_code for one in results] == [0, 0]
    assert (changed.exit_code, "unknown" in changed.output) == (1, True)


def test_content_length_and_chunks_are_obeyed() -> None:
    """What an editor added at the end is ignored, and chunks are joined."""
    chunks = b"5\r\n%b\r\n%x;name=value\r\n%b\r\n0\r\n\r\n" % (BODY[:5], len(BODY) - 5, BODY[5:])

    longer = run(captured(BODY + b"\n", signature(), f"Content-Length: {len(BODY)}"))
    chunked = run(captured(chunks, signature(), "Transfer-Encoding: chunked"))
    joined = run(captured(BODY, signature(), "Transfer-Encoding: chunked"))

    assert [one.exit_code for one in (longer, chunked, joined)] == [0, 0, 0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"POST / HTTP/1.1\r\nX-CIO-Timestamp: 1\r\n", "no empty line"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n{}", "not complete"),
        (b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n", "not complete"),
        (b"curl https://example.com -d '{", "quotes"),
        (b"curl https://example.com", "no body"),
        (b"curl https://example.com --data-raw $'{}'", "--body"),
        (b"curl https://example.com --data-binary @missing", "missing"),
    ],
)
def test_an_incomplete_capture_is_wrong_usage(content: bytes, words: str) -> None:
    """Not a fault of the signature."""
    result = run("-", stdin=content)

    assert result.exit_code == 2
    assert words in result.output


@pytest.mark.parametrize(
    ("arguments", "keys", "words"),
    [
        ((), KEY, "give FILE"),
        (("--signature", "x"), KEY, "need --body"),
        (("missing",), KEY, "No such file"),
        (("-", "--received-at", "2023-11-14T22:13:20"), KEY, "time zone"),
        (("-", "--received-at", "noon"), KEY, "ISO 8601"),
        (("-",), "", "no signing key"),
        (("-",), f'"{KEY}"', "quotation mark"),
    ],
)
def test_wrong_usage_is_2(arguments: tuple[str, ...], keys: str, words: str) -> None:
    """With what to do instead."""
    result = run(*arguments, keys=keys, stdin=b"\n\n")

    assert result.exit_code == 2
    assert words in result.output


def test_missing_headers_are_a_fault() -> None:
    """A proxy may remove them."""
    result = run("-", stdin=b"POST / HTTP/1.1\n\n{}")

    assert (result.exit_code, result.output.partition(":")[0]) == (1, "missing_header")
