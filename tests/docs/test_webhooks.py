"""docs/webhooks.md and its example say what there is, and work as written."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from click import Context
from click.testing import CliRunner

from core.webhooks import specification
from core.webhooks.yaml_file import read
from databricks_app.cli import ciolake
from databricks_app.cli.webhooks import webhooks
from databricks_app.simulator.simulator import Simulator
from tests.support.paths import ROOT
from tests.support.simulating import make_simulator, simulator  # noqa: F401

TEXT = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")
YAML = re.findall(r"^```yaml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)[0]
CALLS = [
    shlex.split(line, comments=True)[1:]
    for line in TEXT.splitlines()
    if line.startswith(".venv/bin/ciolake ")
]
# These two talk to an endpoint; test_cli_webhooks runs them against real ones.
POSTING = ("setup", "rotate")
# This one asks nobody.
OFFLINE = ("keys",)


def test_the_commands_work_as_written(
    simulator: Simulator,  # noqa: F811  # the fixture, by its name
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One after the other, with the file of the page, each ends with 0."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "webhooks.yaml").write_text(YAML)
    env = {"CIO_APP_API_KEY": simulator.workspace.keys.app}
    codes = {}
    for words in CALLS:
        # `--drop` needs the key that it names; test_webhooks of the commands has one.
        if words[1] not in POSTING and "--drop" not in words:
            where = () if words[1] in OFFLINE else ("--base-url", simulator.url)
            given = [*words, *where]
            codes[" ".join(words)] = CliRunner().invoke(ciolake, given, env=env).exit_code

    assert set(codes.values()) == {0}, codes
    assert len(codes) == 10


def test_each_command_is_in_the_page_and_has_help() -> None:
    """With its exit codes, here or for all of them above."""
    context = Context(webhooks)
    for name in webhooks.list_commands(context):
        result = CliRunner().invoke(ciolake, ["webhooks", name, "--help"])

        assert result.exit_code == 0, name
        assert "\\b" not in result.output, name
        assert any(words[1] == name for words in CALLS), name
    assert "Exit codes" in CliRunner().invoke(ciolake, ["webhooks", "--help"]).output
    assert CliRunner().invoke(ciolake, ["webhooks", "launch"]).exit_code == 2


@pytest.mark.parametrize("form", ["plain", "json"])
def test_each_form_of_addresses_is_documented(form: str) -> None:
    """By its name."""
    assert f"`{form}`" in TEXT


def test_the_example_file_can_be_read() -> None:
    """As the page's own."""
    example = (ROOT / "docs/webhooks.example.yaml").read_text(encoding="utf-8")

    found = [read(text, specification.subscription_names()) for text in (example, YAML)]

    assert found[0] == found[1]


def test_setup_webhook_is_the_command() -> None:
    """The script at the root is `ciolake webhooks setup` under another name."""
    told = subprocess.run(
        [sys.executable, ROOT / "setup_webhook.py", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )

    assert told.returncode == 0
    assert told.stdout.startswith("Usage: setup_webhook.py [OPTIONS] ENDPOINT")
