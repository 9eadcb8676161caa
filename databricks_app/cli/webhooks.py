"""The command `ciolake webhooks`: the reporting webhooks of a workspace.

Each group of subcommands is a module, imported when it is asked for.
"""

from __future__ import annotations

import click

from databricks_app.cli.lazy import LazyGroup

# The module and attribute of each, and its line in the help.
_COMMANDS = {
    "plan": ("webhooks_plan:plan_", "Show what would change to be as the file says."),
    "apply": ("webhooks_plan:apply_", "Make the workspace as the file says."),
    "drift": (
        "webhooks_plan:drift_",
        "Tell a scheduler whether the workspace differs from the file.",
    ),
    "setup": ("webhooks_setup:setup_", "Make a webhook work, step by step, in the safe order."),
    "rotate": ("webhooks_rotate:rotate_", "Replace the signing key while events arrive."),
    "keys": ("webhooks_keys:keys_", "List the signing keys by fingerprint, with their workspace."),
    "list": ("webhooks_live:list_", "List the webhooks of the workspace."),
    "get": ("webhooks_live:get_", "Print one as an entry of the file."),
    "enable": ("webhooks_live:enable_", "Let one send events."),
    "disable": ("webhooks_live:disable_", "Stop one from sending events."),
    "events": ("webhooks_info:events_", "List the events there are, and which one does not get."),
    "ips": ("webhooks_info:ips_", "Print Customer.io's sending addresses for a firewall."),
}


@click.group(cls=LazyGroup, subcommands=_COMMANDS)
def webhooks() -> None:
    """Keep the reporting webhooks of a workspace as a file describes them.

    The App API key is read from CIO_APP_API_KEY, or of several workspaces from CIO_APP_API_KEYS,
    in the environment or in .env.

    \b
    Exit codes: 0 done, 1 not done: the error says why, 2 wrong usage. `drift` differs.
    """  # noqa: D301  # click wants the character itself
