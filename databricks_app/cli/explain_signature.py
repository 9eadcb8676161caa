"""`ciolake explain-signature`: say why the signature of a captured request fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Mapping
from datetime import datetime
from pathlib import Path

import click

from core.webhooks.diagnosis import PROVEN, SignatureFault, diagnose
from core.webhooks.signature import SigningKey
from databricks_app.errors import SettingsError
from databricks_app.ingest.signature_faults import WORDS
from databricks_app.operations.webhooks.capture import CapturedRequest, CaptureError, captured
from databricks_app.settings import environment, value

_FILE = click.Path(exists=True, dir_okay=False, path_type=Path)

_UNKNOWN_FIX = (
    "compare the key with the page Reporting Webhooks in Customer.io, and try the keys of other "
    "workspaces with --other-key-file. Check that the body is complete to the last byte. Look for "
    "a proxy in front that removes fields, orders them in another way, or writes numbers in "
    "another way; capture the request in front of it. If all is right, a stranger sent it"
)


class _Moment(click.ParamType[float]):
    """Unix seconds, or an ISO 8601 time with a time zone."""

    name = "time"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        text = str(value)
        try:
            if text.isascii() and text.replace(".", "", 1).isdigit():
                return float(text)
            at = datetime.fromisoformat(text)
        except ValueError:
            self.fail("must be Unix seconds or an ISO 8601 time", param, ctx)
        if at.tzinfo is None:
            self.fail("needs a time zone, for example +00:00", param, ctx)
        return at.timestamp()


@click.command("explain-signature")
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option("--body", "body_file", type=_FILE, metavar="FILE", help="A file with the body alone.")
@click.option("--timestamp", metavar="TEXT", help="Header X-CIO-Timestamp; with --body.")
@click.option("--signature", metavar="TEXT", help="Header X-CIO-Signature; with --body.")
@click.option(
    "--key-file",
    type=_FILE,
    metavar="FILE",
    help="The expected keys, one a line or with commas. The keys in CIO_WEBHOOK_SIGNING_KEYS are "
    "then other keys.",
)
@click.option("--ask-key", is_flag=True, help="Ask for the expected key, without showing it.")
@click.option(
    "--other-key-file",
    "other_files",
    type=_FILE,
    multiple=True,
    metavar="FILE",
    help="Keys of other workspaces, or earlier keys. Can be repeated.",
)
@click.option(
    "--received-at",
    type=_Moment(),
    metavar="TIME",
    help="When the request arrived, to check its timestamp: Unix seconds or ISO 8601.",
)
def explain_signature(
    *,
    file: str | None,
    body_file: Path | None,
    timestamp: str | None,
    signature: str | None,
    key_file: Path | None,
    ask_key: bool,
    other_files: tuple[Path, ...],
    received_at: float | None,
) -> None:
    """Say why the signature of a captured request fails, and what to do.

    FILE (`-`: standard input) is the request as HTTP sends it: headers, an empty line, the body;
    `nc -l 8000` shows that. Or it is a curl command, as mitmproxy and `ciolake send --dry-run`
    print it. Or give --body, --timestamp and --signature.

    The expected keys are those in CIO_WEBHOOK_SIGNING_KEYS, from the environment or from the file
    .env in the current folder. No option takes a key, so that no key is in the process list or the
    history of the shell. Neither keys nor the body are printed.

    \b
    Exit codes: 0 the signature is valid, 1 it is not (the output says why), 2 wrong usage, or the
    request is not complete.
    """  # noqa: D301  # click needs the character \b
    request = _request(file, body_file, timestamp, signature)
    try:
        variables = environment()
        configured: tuple[SigningKey, ...] = value(variables, "CIO_WEBHOOK_SIGNING_KEYS")
        workspaces: Mapping[str, str] = value(variables, "CIO_WORKSPACES")
        tolerance: float = value(variables, "CIO_TIMESTAMP_TOLERANCE_SECONDS")
    except SettingsError as error:
        raise click.UsageError(str(error)) from error
    keys, others = _keys(configured, key_file, other_files, is_asked=ask_key)
    # Without the time of arrival the timestamp is taken to be right.
    now = received_at if received_at is not None else _seconds(request.timestamp)
    found = diagnose(
        keys,
        request.signature,
        request.timestamp,
        request.body,
        now=now,
        tolerance_seconds=tolerance,
        other_keys=others,
    )
    fits = f"the signature fits none of: {', '.join(key.fingerprint for key in keys)}"
    if found.key is not None:
        fits = f"the signature fits the key {found.key.fingerprint}"
        if workspace := workspaces.get(found.key.fingerprint):
            fits = f"{fits} of the workspace {workspace}"
    if found.fault is None:
        click.echo(f"valid: {fits}")
        if received_at is None:
            _say_age(time.time() - now, tolerance)
        return
    _say_fault(found.fault, fits)
    sys.exit(1)


def _say_age(age_seconds: float, tolerance_seconds: float) -> None:
    if abs(age_seconds) > tolerance_seconds:
        click.echo(
            f"The timestamp differs from the time now by {abs(age_seconds):.0f} s, and a receiver "
            f"accepts {tolerance_seconds:g} s. If the request arrived at another time, name it "
            "with --received-at."
        )


def _say_fault(fault: SignatureFault, fits: str) -> None:
    click.echo(f"{fault.value}: the request {WORDS[fault].means}")
    if fault in PROVEN:
        click.echo("key: right; only a sender with the expected key can make this signature")
    elif fault not in (SignatureFault.MISSING_HEADER, SignatureFault.MALFORMED_HEADER):
        click.echo(f"key: {fits}")
    # The words of the receiver advise to run this command.
    click.echo(f"fix: {_UNKNOWN_FIX if fault is SignatureFault.UNKNOWN else WORDS[fault].fix}")


def _request(
    file: str | None, body_file: Path | None, timestamp: str | None, signature: str | None
) -> CapturedRequest:
    """Read the request that the arguments name.

    Raises:
        click.UsageError: They do not name one, or it cannot be read.
    """
    has_parts = any(one is not None for one in (body_file, timestamp, signature))
    if (file is None) is not has_parts:
        raise click.UsageError("give FILE, or --body with --timestamp and --signature")
    try:
        if body_file is not None:
            parts = [
                None if one is None else one.strip().encode("latin-1", "replace")
                for one in (signature, timestamp)
            ]
            return CapturedRequest(body_file.read_bytes(), *parts)
        if file is None:
            raise click.UsageError("--timestamp and --signature need --body")
        content = sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()
        return captured(content, lambda name: Path(name).read_bytes())
    except OSError as error:
        raise click.UsageError(f"{error.filename or file}: {error.strerror}") from error
    except CaptureError as error:
        raise click.UsageError(str(error)) from error


def _keys(
    configured: tuple[SigningKey, ...],
    key_file: Path | None,
    other_files: Iterable[Path],
    *,
    is_asked: bool,
) -> tuple[tuple[SigningKey, ...], tuple[SigningKey, ...]]:
    """Return the expected keys and the other ones.

    Raises:
        click.UsageError: There is no expected key, or a file cannot be read.
    """
    keys, others = configured, _from_files(other_files)
    if key_file is not None or is_asked:
        keys = _from_files([key_file] if key_file is not None else [])
        others += configured
    if is_asked:
        text = str(click.prompt("Signing key (hidden)", hide_input=True, err=True))
        keys += (SigningKey.from_text(text),) if text.strip() else ()
    if not keys:
        raise click.UsageError(
            "there is no signing key: set CIO_WEBHOOK_SIGNING_KEYS, run this in the folder of "
            ".env, or use --key-file or --ask-key"
        )
    return keys, others


def _from_files(files: Iterable[Path]) -> tuple[SigningKey, ...]:
    """Read keys as they are: a mistake in them is a fault to explain."""
    keys: list[SigningKey] = []
    for file in files:
        try:
            texts = file.read_text("utf-8").replace(",", "\n").splitlines()
        except UnicodeDecodeError as error:
            raise click.UsageError(f"{file} is not UTF-8 text") from error
        keys += [SigningKey.from_text(text) for text in texts if text.strip()]
    return tuple(keys)


def _seconds(timestamp: bytes | None) -> float:
    """Return a timestamp header as seconds; 0 for one that is refused anyway."""
    return float(timestamp) if timestamp is not None and timestamp.isdigit() else 0.0
