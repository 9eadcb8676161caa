"""`ciolake deploy` with a host or a profile that is wrong, with the real databricks-sdk."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from databricks.sdk.core import Config

from databricks_app.cli.deploy import deploy
from databricks_app.operations.deployment.login import require_host
from tests.doubles import TOKEN, Databricks
from tests.support.deploying import few_sources

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """Run the command with these variables and no other login: `run(*options, **variables)`."""
    few_sources(tmp_path / "sources")
    for name in ("DATABRICKS_HOST", "DATABRICKS_TOKEN", "DATABRICKS_CLIENT_ID"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(tmp_path / "databrickscfg"))

    def run(*options: str, **variables: str) -> Result:
        fixed = ["--catalog", "main", "--warehouse", "w1", "--source", str(tmp_path / "sources")]
        return CliRunner().invoke(deploy, [*fixed, *options], env=variables)

    return run


def test_a_host_that_does_not_answer_is_named_at_once(run: Run) -> None:
    """Nothing listens on its port."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        host = f"http://127.0.0.1:{server.getsockname()[1]}"

    result = run(DATABRICKS_HOST=host, DATABRICKS_TOKEN=TOKEN)

    assert result.exit_code == 1
    assert f"{host} does not answer" in result.output
    assert "check DATABRICKS_HOST" in result.output


def test_without_a_host_the_variable_is_named(run: Run) -> None:
    """The SDK itself would only say that it cannot log in."""
    result = run()

    assert result.exit_code == 1
    assert "set DATABRICKS_HOST" in result.output


def test_an_unknown_profile_is_named_with_those_that_exist(run: Run, tmp_path: Path) -> None:
    """Not the class of an exception."""
    (tmp_path / "databrickscfg").write_text("[work]\nhost = https://a\n[home]\nhost = https://b\n")

    result = run("--profile", "nope")

    assert result.exit_code == 1
    assert "there is no profile nope" in result.output
    assert "work, home" in result.output
    assert "ValueError" not in result.output


def test_a_file_that_is_no_configuration_is_named(run: Run, tmp_path: Path) -> None:
    """Its content, which may be a token, is not shown."""
    (tmp_path / "databrickscfg").write_text("secret-of-a-profile")

    result = run("--profile", "work")

    assert result.exit_code == 1
    assert "is not an INI file" in result.output
    assert "secret-of" not in result.output


def test_a_profile_names_the_workspace(run: Run, tmp_path: Path) -> None:
    """Its host is shown before anything is asked of it."""
    with Databricks(tmp_path / "double") as double:
        text = f"[work]\nhost = {double.url}\ntoken = {TOKEN}\n"
        (tmp_path / "databrickscfg").write_text(text)
        result = run("--profile", "work", CIO_WEBHOOK_SIGNING_KEYS="a key of ours")

    assert f"Workspace         {double.url}" in result.output
    assert "there is no SQL warehouse w1" in result.output


def test_a_host_without_credentials_says_what_to_set(run: Run, tmp_path: Path) -> None:
    """It names the host, so that a wrong one is seen."""
    with Databricks(tmp_path / "double") as double:
        result = run(DATABRICKS_HOST=double.url)

    assert result.exit_code == 1
    assert f"no usable credentials for {double.url}" in result.output


def test_a_variable_that_contradicts_the_profile_is_refused(run: Run, tmp_path: Path) -> None:
    """The SDK would take the variable, and keys and tables would go to the other workspace."""
    (tmp_path / "databrickscfg").write_text("[dev]\nhost = dev.example.com\ntoken = x\n")

    result = run("--profile", "dev", DATABRICKS_HOST="https://prod.example.com")

    assert result.exit_code == 1
    assert "DATABRICKS_HOST is https://prod.example.com" in result.output
    assert "the profile dev is of https://dev.example.com" in result.output


@pytest.mark.parametrize(
    ("profile", "variables"),
    [
        ("dev", {}),
        ("dev", {"DATABRICKS_HOST": "{dev}/"}),
        (None, {"DATABRICKS_HOST": "{other}"}),
        (None, {"DATABRICKS_CONFIG_PROFILE": "dev"}),
        (None, {}),
    ],
)
def test_the_host_is_the_one_that_the_sdk_takes(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    profile: str | None,
    variables: dict[str, str],
) -> None:
    """From the option, the variables and the file."""
    file = tmp_path / "databrickscfg"
    for name in ("DATABRICKS_HOST", "DATABRICKS_CONFIG_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DATABRICKS_CONFIG_FILE", str(file))
    with Databricks(tmp_path / "double") as double:
        # The SDK asks each host what it is, so both names are of a server that answers.
        dev, other = double.url, double.url.replace("127.0.0.1", "localhost")
        file.write_text(f"[dev]\nhost = {dev}\ntoken = x\n[DEFAULT]\nhost = {other}\ntoken = x\n")
        for name, text in variables.items():
            monkeypatch.setenv(name, text.format(dev=dev, other=other))
        if "DATABRICKS_HOST" in variables:
            monkeypatch.setenv("DATABRICKS_TOKEN", "x")

        assert require_host(profile, os.environ) == Config(profile=profile).host
