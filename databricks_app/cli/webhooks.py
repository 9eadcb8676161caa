"""The command `ciolake webhooks`: the reporting webhooks of a workspace.

Each group of subcommands is a module, imported when it is asked for.
"""

from __future__ import annotations

from importlib import import_module

import click

# Subcommand: the module that holds it, and its line in the help.
_COMMANDS = {
    "plan": ("webhooks_plan", "Show what would change to be as the file says."),
    "apply": ("webhooks_plan", "Make the workspace as the file says."),
    "drift": ("webhooks_plan", "Tell a scheduler whether the workspace differs from the file."),
    "setup": ("webhooks_setup", "Make a webhook work, step by step, in the safe order."),
    "rotate": ("webhooks_rotate", "Replace the signing key while events arrive."),
    "list": ("webhooks_live", "List the webhooks of the workspace."),
    "get": ("webhooks_live", "Print one as an entry of the file."),
    "enable": ("webhooks_live", "Let one send events."),
    "disable": ("webhooks_live", "Stop one from sending events."),
    "events": ("webhooks_info", "List the events there are, and which one does not get."),
    "ips": ("webhooks_info", "Print Customer.io's sending addresses for a firewall."),
}


class _Lazy(click.Group):
    def list_commands(self, _ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, _ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return None
        module = import_module(f"databricks_app.cli.{_COMMANDS[cmd_name][0]}")
        command: click.Command = getattr(module, f"{cmd_name}_")
        return command

    def format_commands(self, _ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in _COMMANDS.items()])


@click.group(cls=_Lazy)
def webhooks() -> None:
    """Keep the reporting webhooks of a workspace as a file describes them.

    The App API key is read from CIO_APP_API_KEY, in the environment or in .env.

    \b
    Exit codes: 0 done, 1 not done: the error says why, 2 wrong usage. `drift` differs.
    """  # noqa: D301  # click wants the character itself
