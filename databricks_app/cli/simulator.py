"""The command `ciolake simulator`: runs a Customer.io on this machine."""

from __future__ import annotations

import signal
import sys
import threading
from ipaddress import ip_address
from types import FrameType

import click

from databricks_app.cli.own_name import own_name
from databricks_app.errors import SettingsError
from databricks_app.simulator.schedule import RetryRules
from databricks_app.simulator.simulator import Simulator
from databricks_app.simulator.workspace import WORKSPACE_ID, SimulatorOptions


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8200,
    show_default=True,
    help="Port to listen on; 0: any free port.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="The same seed makes the same people, keys and events.",
)
@click.option(
    "--people",
    type=click.IntRange(0, 100_000),
    default=100,
    show_default=True,
    help="Number of people at the start.",
)
@click.option(
    "--speed",
    type=click.FloatRange(0, 100_000),
    default=1.0,
    show_default=True,
    help="Seconds of its clock per second of this machine; 0: it moves only by /simulator/clock.",
)
@click.option(
    "--messages",
    type=click.FloatRange(0, 1_000_000),
    default=0.0,
    show_default=True,
    metavar="PER_HOUR",
    help="Messages per hour of its clock that campaigns send without a call.",
)
@click.option(
    "--same-timestamp",
    is_flag=True,
    help="Retry webhook calls with the timestamp of the first try, not with a new one.",
)
@click.option("--no-rate-limits", is_flag=True, help="Do not enforce the vendor's rate limits.")
def simulator(
    *,
    host: str,
    port: int,
    seed: int,
    people: int,
    speed: float,
    messages: float,
    same_timestamp: bool,
    no_rate_limits: bool,
) -> None:
    """Run a Customer.io on this machine: both APIs, and a sender of reporting webhooks.

    All data is in memory and is lost at the end. Everyone who reaches the port can use it without
    a key, so listen on loopback only. SIGTERM or Ctrl-C stops it.

    \b
    Exit codes: 0 stopped, 1 the port cannot be used, 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    options = SimulatorOptions(
        seed=seed,
        people=people,
        rules=RetryRules(re_sign=not same_timestamp),
        messages_per_hour=messages,
        has_rate_limits=not no_rate_limits,
    )
    try:
        running = Simulator(options, host=host, port=port, speed=speed)
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port} ({error.strerror}); "
            "use another --host or --port; --port 0 takes any free port"
        ) from error
    stopped = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopped.set()

    signal.signal(signal.SIGINT, stop)
    signal.signal(signal.SIGTERM, stop)
    with running:
        _print_start(running)
        _warn(host)
        stopped.wait()
    click.echo("Stopped.")


def _print_start(running: Simulator) -> None:
    """Print its URL, its keys, and the commands to try it."""
    keys, url = running.workspace.keys, running.url
    click.echo(
        f"Customer.io at  {url}  (base_url of both clients)\n"
        f"App API key     {keys.app}\n"
        f"Write key       {keys.pipelines}  (Pipelines API)\n"
        f"Private key     {keys.private}  (both)\n"
        f"Service account {keys.service_account}  (sends; X-Workspace-Id: {WORKSPACE_ID})\n"
        f"State           {url}/simulator/state\n"
        "\n"
        "Create a webhook, and start the receiver with its signing key:\n"
        f"  curl -s {url}/v1/reporting_webhooks -H 'Authorization: Bearer {keys.app}' \\\n"
        '    -d \'{"name": "lake", "endpoint": "http://127.0.0.1:8000/api/webhooks/customerio", '
        '"events": ["email_sent", "email_opened"]}\'\n'
        f"  curl -s {url}/simulator/webhooks/1/signing_key\n"
        f"  CIO_WEBHOOK_SIGNING_KEYS=... {own_name()} serve\n"
        "Send a message, and advance the clock by a day:\n"
        f"  curl -s {url}/v1/send/email -H 'Authorization: Bearer {keys.app}' \\\n"
        '    -d \'{"transactional_message_id": 401, "to": "ada@example.com", '
        '"identifiers": {"id": "1"}}\'\n'
        f"  curl -s {url}/simulator/clock -d '{{\"advance_seconds\": 86400}}'"
    )
    sys.stdout.flush()


def _warn(host: str) -> None:
    """Print a warning if the address is not loopback."""
    try:
        is_loopback = host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        is_loopback = False
    if not is_loopback:
        click.echo(
            "Warning: other machines may reach this address, and /simulator needs no key. "
            "Use --host 127.0.0.1.",
            err=True,
        )
