"""`ciolake reload`: make the receiver on this machine read its settings again."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import click

from databricks_app.runtime import run_dir
from databricks_app.serving import ready_files
from databricks_app.serving.supervisor import RELOAD_SECONDS
from databricks_app.settings import environment, from_environment

_LOOK_SECONDS = 0.1


@click.command("reload")
def reload_() -> None:
    """Make the receiver of this data folder read its settings again.

    It finds the running `ciolake serve` by CIO_DATA_DIR and waits until new processes serve. No
    connection is refused meanwhile. If the new settings are wrong, the old processes go on. Only
    the settings in .env are new: a process cannot get other environment variables.

    \b
    Exit codes: 0 new processes serve, 1 not done (the message says why), 2 wrong usage.
    """  # noqa: D301  # click needs the character \b
    settings = from_environment(environment())
    found = run_dir.owners(settings.data_dir)
    if not found:
        raise click.ClickException(
            f"no receiver of this user runs with the data folder {settings.data_dir.resolve()}: "
            "run this in the folder where `ciolake serve` runs, or set CIO_DATA_DIR"
        )
    for pid, folder in found.items():
        before = ready_files.marked(folder)
        try:
            os.kill(pid, signal.SIGHUP)
        except ProcessLookupError:
            raise click.ClickException(f"the receiver (process {pid}) has just ended") from None
        _wait(pid, folder, before)
        click.echo(f"The receiver (process {pid}) has read its settings again.")


def _wait(pid: int, folder: Path, before: frozenset[str]) -> None:
    end = time.monotonic() + RELOAD_SECONDS
    while not ready_files.marked(folder) - before:
        if time.monotonic() > end:
            raise click.ClickException(
                f"the receiver (process {pid}) goes on with its old settings: the new web process "
                f"did not serve within {RELOAD_SECONDS:g} s. Its log says why (reload_failed)"
            )
        time.sleep(_LOOK_SECONDS)
