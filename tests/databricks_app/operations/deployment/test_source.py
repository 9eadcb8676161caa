"""What is uploaded: all that an app runs, without the simulator."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from databricks_app.errors import DeploymentError
from databricks_app.operations.deployment import plan, source
from tests.support.loopback_receiver import KEY, LoopbackReceiver

TARGET = plan.Target("ciolake", "main", "customerio", "ciolake", "1234567890abcdef", "ciolake")
IMPORTS = """
import importlib, pathlib
for path in sorted(pathlib.Path().rglob("*.py")):
    parts = path.with_suffix("").parts
    if parts[-1] != "__main__":
        importlib.import_module(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
"""
HELPS = """
import click
from click.testing import CliRunner
from databricks_app.cli import ciolake

def walk(group, words):
    context = click.Context(group)
    for name in group.list_commands(context):
        result = CliRunner().invoke(ciolake, [*words, name, "--help"])
        print(result.exit_code, *words, name)
        command = group.get_command(context, name)
        if isinstance(command, click.Group):
            walk(command, [*words, name])

walk(ciolake, [])
"""


@pytest.fixture(scope="module")
def uploaded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of exactly what is uploaded."""
    folder = tmp_path_factory.mktemp("uploaded")
    for name, content in source.read(TARGET).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def run(folder: Path, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run Python in the folder, where its own modules are found first."""
    return subprocess.run(
        [sys.executable, *words],
        cwd=folder,
        env={"PATH": os.environ["PATH"], **env},
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_a_misspelt_name_in_app_yaml_is_refused() -> None:
    """The app would start, and its default would apply silently."""
    files = source.read(TARGET)
    text = files["app.yaml"].replace(b"CIO_FRESHNESS_SECONDS", b"CIO_FRESHNES_SECONDS")

    with pytest.raises(DeploymentError, match="did you mean CIO_FRESHNESS_SECONDS"):
        source.settings({"app.yaml": text})


def test_the_simulator_is_not_uploaded(uploaded: Path) -> None:
    """Nor tests, benchmarks and documents; what makes samples for `send` is."""
    there = {path.name for path in (uploaded / "databricks_app" / "simulator").iterdir()}

    assert there == {"__init__.py", "events"}
    assert {path.name for path in uploaded.iterdir()} == {
        *("app.yaml", "requirements.txt", "pyproject.toml", "databricks_app", "core", "sql")
    }


def test_every_uploaded_module_can_be_imported(uploaded: Path) -> None:
    """None needs what is left out."""
    done = run(uploaded, "-B", "-c", IMPORTS)

    assert (done.returncode, done.stderr) == (0, "")


def test_every_command_of_what_is_uploaded_has_help(uploaded: Path) -> None:
    """Those that need the simulator as well."""
    whole = run(uploaded, "-B", "-m", "databricks_app", "--help")
    helps = run(uploaded, "-B", "-c", HELPS).stdout.splitlines()

    assert whole.returncode == 0
    assert {line.partition(" ")[0] for line in helps} == {"0"}
    assert {"0 simulate", "0 serve", "0 webhooks setup"} <= set(helps)


@pytest.mark.parametrize(
    "words", [["simulate", "--count", "1"], ["simulator"], ["serve", "--demo"]]
)
def test_commands_that_need_the_simulator_say_so(uploaded: Path, words: list[str]) -> None:
    """In one sentence, without a trace."""
    env = {"PORT": "0", "CIO_DATA_DIR": str(uploaded.parent / "data")}

    told = run(uploaded, "-B", "-m", "databricks_app", *words, **env)

    assert told.returncode == 1
    assert "needs the simulator, which is not uploaded to Databricks" in told.stderr
    assert len(told.stderr.splitlines()) == 1


def test_send_works_with_what_is_uploaded(uploaded: Path) -> None:
    """It makes its samples without the rest of the simulator."""
    with LoopbackReceiver() as receiver:
        words = ["send", "--sample", "email/opened", "--url", receiver.destination.url]
        done = run(
            uploaded,
            "-B",
            "-m",
            "databricks_app",
            *words,
            CIO_WEBHOOK_SIGNING_KEYS=KEY.secret.decode(),
        )

    assert done.returncode == 0, done.stderr
    assert len(receiver.bodies) == 1
