"""`ciolake webhooks`: manage the reporting webhooks of a workspace.

The module of a subcommand is imported only when the subcommand is used.
"""

from __future__ import annotations

import click

from databricks_app.cli.lazy import LazyGroup

# Module and attribute of each command, and its line in the help.
_COMMANDS = {
    "plan": ("webhooks_plan:plan_", "Show how the workspace differs from the file."),
    "apply": ("webhooks_plan:apply_", "Change the workspace to match the file."),
    "drift": ("webhooks_plan:drift_", "Like plan, with an exit code for schedulers."),
    "setup": ("webhooks_setup:setup_", "Create a webhook, test it, then enable it."),
    "rotate": ("webhooks_rotate:rotate_", "Replace the signing key while events arrive."),
    "keys": ("webhooks_key_list:keys_", "List the signing keys with their use, or drop one."),
    "list": ("webhooks_live:list_", "List the webhooks of the workspace."),
    "get": ("webhooks_live:get_", "Print a webhook as an entry for the file."),
    "enable": ("webhooks_live:enable_", "Enable a webhook."),
    "disable": ("webhooks_live:disable_", "Disable a webhook."),
    "events": ("webhooks_info:events_", "List all events, and those that a webhook does not get."),
    "ips": ("webhooks_info:ips_", "Print Customer.io's IP addresses, for a firewall."),
}


@click.group(cls=LazyGroup, subcommands=_COMMANDS)
def webhooks() -> None:
    """Manage the reporting webhooks of a Customer.io workspace.

    plan, apply and drift compare the workspace with a file that describes its webhooks.

    The App API key is read from CIO_APP_API_KEY in the environment or in .env; with several
    workspaces the keys are in CIO_APP_API_KEYS.

    \b
    Exit codes: 0 done, 1 not done (the message says why), 2 wrong usage.
    The exit codes of drift are different.
    """  # noqa: D301  # click needs the character \b
