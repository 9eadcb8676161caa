"""The recipe of examples/compose: checked by Compose itself, and run without a container."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from benchmarks.harness.databricks_double import DatabricksDouble, databricks_double
from benchmarks.harness.events import event
from benchmarks.harness.process_table import wait_until
from benchmarks.harness.wire import ANSWER_SECONDS, connect, request
from benchmarks.processes import free_port
from databricks_app.serving.supervisor import STOP_SECONDS
from tests.support.paths import ROOT
from tests.support.recipes import is_stored, write_settings

COMPOSE = ROOT / "examples" / "compose" / "compose.yaml"
DOCKERFILE = ROOT / "examples" / "compose" / "Dockerfile"


def resolved(folder: Path) -> dict[str, Any]:
    """Return a copy of the project as Compose understands it, after it has checked it."""
    program = shutil.which("docker-compose")
    if program is None:
        pytest.skip("docker-compose (Debian: docker-compose) is missing")
    done = subprocess.run(
        [program, "--file", str(folder / COMPOSE.name), "config"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    project: dict[str, Any] = yaml.safe_load(done.stdout)
    return project


def project(folder: Path, variables: dict[str, str]) -> Path:
    """Copy the project, with settings for a workspace."""
    target = folder / "examples" / "compose"
    target.mkdir(parents=True)
    shutil.copy(COMPOSE, target)
    write_settings(target / "ciolake.env", variables)
    return target


@dataclass(frozen=True, slots=True)
class Image:
    """What the Dockerfile makes, in folders of this machine.

    Attributes:
        code: Its folder /opt/ciolake.
        data: The volume.
        argv: Its command.
        variables: Its environment.
        user: Id of its user.
    """

    code: Path
    data: Path
    argv: list[str]
    variables: dict[str, str]
    user: int


@pytest.fixture
def image() -> Iterator[Image]:
    """Do the steps of the Dockerfile that need no container."""
    # Not `tmp_path`: another user cannot enter it.
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    text = DOCKERFILE.read_text("utf-8")
    code, data = folder / "opt", folder / "lib"
    code.mkdir()
    data.mkdir(0o700)
    for source, target in re.findall(r"^COPY (\S+) (\S+)$", text, re.MULTILINE):
        copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy
        copy(ROOT / source, code / target)
    [user] = re.findall(r"^USER (\d+)$", text, re.MULTILINE)
    [command] = re.findall(r"^CMD (.+)$", text, re.MULTILINE)
    lines = re.findall(r"^ENV (.+)$", text, re.MULTILINE)
    variables = dict(pair.split("=", 1) for line in lines for pair in line.split())
    places = {"/opt/ciolake": str(code), "/var/lib/ciolake": str(data)}
    variables = {name: places.get(value, value) for name, value in variables.items()}
    argv = [sys.executable if word == "python" else word for word in json.loads(command)]
    made = Image(code, data, argv, variables | {"PORT": str(free_port())}, int(user))
    if identity(made.user):
        os.chown(data, made.user, made.user)
    yield made
    shutil.rmtree(folder)


def start(image: Image, argv: list[str], environment: dict[str, str]) -> subprocess.Popen[bytes]:
    """Run a command in the image, as its user if that is possible here."""
    with (image.data.parent / "log").open("ab") as log:
        return subprocess.Popen(
            argv,
            cwd=image.data,
            env={"PATH": os.environ["PATH"], **image.variables, **environment},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            **identity(image.user),
        )


def identity(user: int) -> dict[str, Any]:
    """Return the arguments that run a process as this user; none if it cannot be."""
    # Only root may change the user, and a Python in the home folder of root is closed to others.
    if os.geteuid() != 0:
        return {}
    chosen = {"user": user, "group": user, "extra_groups": []}
    try:
        subprocess.run([sys.executable, "-c", ""], check=True, **chosen)
    except PermissionError:
        return {}
    return chosen


@pytest.fixture
def double(tmp_path: Path) -> Iterator[DatabricksDouble]:
    """A workspace."""
    with databricks_double(tmp_path / "workspace") as double:
        yield double


def test_the_command_of_the_container_receives_into_the_volume(
    image: Image, double: DatabricksDouble, tmp_path: Path
) -> None:
    """With the settings of the example; the inbox is in the volume, the tables in Databricks."""
    service = resolved(project(tmp_path, double.variables))["services"]["ciolake"]
    environment = {str(name): str(value) for name, value in service["environment"].items()}
    address = ("127.0.0.1", int(image.variables["PORT"]))
    before = sorted(image.code.rglob("*"))

    process = start(image, image.argv, environment)
    try:
        wait_until(lambda: answers(address, process))
        with connect(address, ANSWER_SECONDS) as wire:
            assert wire.send(request(event("one"))).answer().status == 200
        assert is_stored(event("one"), image.data / "inbox")
        check = [sys.executable, *service["healthcheck"]["test"][2:]]
        assert start(image, check, environment).wait(ANSWER_SECONDS) == 0
        asked = time.monotonic()
        process.terminate()
        assert process.wait(STOP_SECONDS + 5) == 0
        assert time.monotonic() - asked < float(service["stop_grace_period"].removesuffix("s"))
    finally:
        process.kill()
        process.wait()

    assert sorted(image.code.rglob("*")) == before  # the root file system may be read-only


def answers(address: tuple[str, int], process: subprocess.Popen[bytes]) -> bool:
    """Return whether the receiver answers `/healthz`."""
    assert process.poll() is None
    try:
        with connect(address, 1) as wire:
            head = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
            return wire.send(head).answer().status == 200
    except OSError:
        return False


def test_compose_and_image_agree(tmp_path: Path) -> None:
    """Port, volume and health check are those of the image."""
    whole = resolved(project(tmp_path, {name: "x" for name in workspace_names()}))
    text = DOCKERFILE.read_text("utf-8")
    service = whole["services"]["ciolake"]
    [volume], [port] = service["volumes"], service["ports"]

    assert "PORT=8000" in text
    assert "CIO_DATA_DIR=/var/lib/ciolake\n" in text
    assert port == "127.0.0.1:8000:8000/tcp"
    assert volume == "data:/var/lib/ciolake:rw"
    assert list(whole["volumes"]) == ["data"]
    assert service["healthcheck"]["test"][:2] == ["CMD", "python"]
    assert service["read_only"] is True
    assert float(service["stop_grace_period"].removesuffix("s")) > STOP_SECONDS + 1


def workspace_names() -> list[str]:
    """Return the variables of a workspace."""
    return [f"DATABRICKS_{name}" for name in ("HOST", "CLIENT_ID", "CLIENT_SECRET", "WAREHOUSE_ID")]
