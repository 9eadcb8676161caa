"""`ciolake send`: sign one event and post it."""

from __future__ import annotations

import json
import shlex
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any, TypeVar

import click

from core.webhooks import specification
from core.webhooks.sender import (
    TIMEOUT_SECONDS,
    Destination,
    NoAnswer,
    Sender,
    signed_headers,
)
from core.webhooks.signature import SigningKey
from databricks_app.errors import SettingsError
from databricks_app.operations.webhooks.advice import fault_of
from databricks_app.operations.webhooks.destination import KEY_VARIABLE, local, parse, signing_key
from databricks_app.settings import environment
from databricks_app.simulator.events.payload import make_event

_Function = TypeVar("_Function", bound=Callable[..., Any])

_DEFAULT_SAMPLE = "email/delivered"


def destination_options(command: _Function) -> _Function:
    """Add the options for the address and the signing key."""
    for option in (
        click.option(
            "--timeout",
            type=click.FloatRange(0, 3600, min_open=True),
            default=TIMEOUT_SECONDS,
            show_default=True,
            metavar="SECONDS",
            help="How long to wait for an answer; Customer.io waits 4 s.",
        ),
        click.option(
            "--key-env",
            default=KEY_VARIABLE,
            show_default=True,
            metavar="NAME",
            help="Sign with the first key in this variable, from the environment or .env.",
        ),
        click.option(
            "--url",
            metavar="URL",
            help="Where to post. Without a path it is /api/webhooks/customerio. [default: this "
            "machine, with the port in DATABRICKS_APP_PORT or PORT, else 8000]",
        ),
    ):
        command = option(command)
    return command


def resolve(url: str | None, key_env: str) -> tuple[Destination, SigningKey]:
    """Return the address and the signing key from the options and the settings.

    Raises:
        click.UsageError: The URL or a setting is not valid, or there is no key.
    """
    variables = environment()
    try:
        destination = parse(url) if url is not None else local(variables)
        return destination, signing_key(variables, key_env)
    except SettingsError as error:
        raise click.UsageError(str(error)) from error


@dataclass(frozen=True, slots=True)
class _PostBody:
    """The bytes to post, and the file that contains exactly them, if there is one."""

    content: bytes
    file: str | None = None


@click.command()
@click.argument("file", required=False, metavar="[FILE|-]")
@click.option(
    "--sample",
    metavar="OBJECT_TYPE/METRIC",
    help=f"Send a sample event of this kind. [default without FILE: {_DEFAULT_SAMPLE}]",
)
@click.option("--list", "is_list", is_flag=True, help="List the kinds of sample events and exit.")
@click.option("--with-content", is_flag=True, help="Add the content of the message to the sample.")
@click.option("--event-id", metavar="ID", help="Replace the event_id in the event.")
@click.option(
    "--timestamp-offset",
    type=int,
    default=0,
    metavar="SECONDS",
    help="Add this to the current time in the timestamp header, to test the receiver's time "
    "window.",
)
@click.option("--print", "is_printed", is_flag=True, help="Also print the body that is posted.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Send nothing; print a curl command with the signature. It works for about 300 s.",
)
@destination_options
def send(
    file: str | None,
    sample: str | None,
    is_list: bool,
    with_content: bool,
    event_id: str | None,
    timestamp_offset: int,
    is_printed: bool,
    dry_run: bool,
    url: str | None,
    key_env: str,
    timeout: float,
) -> None:
    """Sign one event as Customer.io does, and post it.

    The bytes in FILE (`-`: standard input) are posted without change. Without FILE a sample event
    is posted.

    The signing key is the first one in CIO_WEBHOOK_SIGNING_KEYS, from the environment or from the
    file .env in the current folder. There is no option for it, so that it does not appear in the
    process list.

    \b
    Exit codes: 0 acknowledged, 1 refused by the receiver, 2 wrong usage, or no answer.
    """  # noqa: D301  # click needs the character \b
    if is_list:
        for kind in specification.events():
            remark = "" if kind.has_schema else "  (payload not published, inferred)"
            click.echo(f"{kind.object_type}/{kind.metric}{remark}")
        return
    body = _body(file, sample, with_content)
    if event_id is not None:
        body = _PostBody(_with_event_id(body.content, event_id))
    destination, key = resolve(url, key_env)
    timestamp = int(time.time()) + timestamp_offset
    if dry_run:
        _print_curl(destination, signed_headers(key, timestamp, body.content), body)
        return
    if is_printed:
        click.echo(body.content)
    _post(destination, key, body.content, timestamp, timeout)


def _body(file: str | None, sample: str | None, with_content: bool) -> _PostBody:
    if file is None:
        return _PostBody(_sample(sample or _DEFAULT_SAMPLE, with_content))
    if sample is not None or with_content:
        raise click.UsageError("--sample and --with-content cannot be used with a FILE")
    if file == "-":
        return _PostBody(sys.stdin.buffer.read())
    try:
        return _PostBody(Path(file).read_bytes(), file)
    except OSError as error:
        raise click.UsageError(f"cannot read {file}: {error.strerror}") from error


def _sample(name: str, with_content: bool) -> bytes:
    object_type, _, metric = name.partition("/")
    try:
        event = make_event(
            object_type,
            metric,
            random=Random(),  # noqa: S311  # ids of test events
            at=datetime.now(UTC),
            with_content=with_content,
        )
    except KeyError as error:
        raise click.UsageError(f"there is no sample {name}; --list shows all") from error
    return json.dumps(event, ensure_ascii=False).encode()


def _with_event_id(content: bytes, event_id: str) -> bytes:
    try:
        event = json.loads(content)
    except ValueError as error:
        raise click.UsageError("--event-id needs a body that is JSON") from error
    if not isinstance(event, dict):
        raise click.UsageError("--event-id needs a body that is a JSON object")
    return json.dumps({**event, "event_id": event_id}, ensure_ascii=False).encode()


def _print_curl(destination: Destination, headers: dict[str, str], body: _PostBody) -> None:
    words = ["curl", "-i", "-X", "POST", destination.url]
    for name, value in headers.items():
        words += ["-H", f"{name}: {value}"]
    if body.file is not None:
        words += ["--data-binary", f"@{body.file}"]
    else:
        try:
            words += ["--data-raw", body.content.decode()]
        except UnicodeDecodeError as error:
            raise click.UsageError(
                "--dry-run needs a body that is UTF-8 text, or a FILE"
            ) from error
    click.echo(shlex.join(words))


def _post(
    destination: Destination, key: SigningKey, body: bytes, timestamp: int, timeout: float
) -> None:
    with Sender(destination, key, timeout_seconds=timeout) as sender:
        try:
            answer = sender.post(body, timestamp=timestamp)
        except NoAnswer as error:
            click.echo(f"{destination.shown}: {fault_of(error)}", err=True)
            sys.exit(2)
    if answer.is_acknowledged:
        took = f"answered {answer.status} in {answer.seconds * 1000:.0f} ms"
        click.echo(f"{destination.shown} {took}: {len(body)} bytes acknowledged")
        return
    text = f"\nThe answer was: {answer.text}" if answer.text else ""
    click.echo(f"{destination.shown}: {fault_of(answer, key)}{text}", err=True)
    sys.exit(1)
