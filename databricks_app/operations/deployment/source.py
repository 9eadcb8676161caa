"""The source files of the app: which files of a checkout are uploaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import yaml

from databricks_app.errors import DeploymentError, SettingsError
from databricks_app.operations.deployment import plan
from databricks_app.setting_names import unknown_names
from databricks_app.settings import Settings, from_environment

ROOT = Path(__file__).parents[3]
_FILES = ("app.yaml", "requirements.txt", "pyproject.toml")
_FOLDERS = ("databricks_app", "core", "sql")
# An app never runs the simulator, nor the commands that need it. `_KEPT` is the part that
# `ciolake send` needs for its samples.
_LEFT_OUT = frozenset(
    Path("databricks_app", *parts)
    for parts in (
        ("simulator",),
        ("cli", "demo_traffic.py"),
        ("cli", "simulate.py"),
        ("cli", "simulator.py"),
    )
)
_KEPT = frozenset(Path("databricks_app/simulator", name) for name in ("__init__.py", "events"))


def read(target: plan.Target, root: Path = ROOT) -> dict[str, bytes]:
    """Read every file of the app, with the target's names in app.yaml.

    Returns:
        Content by path, relative to the root.

    Raises:
        DeploymentError: The root is not a checkout, or the platform would refuse a file.
    """
    if missing := [name for name in (*_FILES, *_FOLDERS) if not (root / name).exists()]:
        raise DeploymentError(
            f"{root} has no {', '.join(missing)}: run this from a checkout of the source code"
        )
    found = {name: (root / name).read_bytes() for name in _FILES}
    for folder in _FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            if path.is_file() and not _is_left_out(path.relative_to(root)):
                found[path.relative_to(root).as_posix()] = path.read_bytes()
    for path_text, content in found.items():
        if problem := plan.refusal(path_text, content):
            raise DeploymentError(problem)
    try:
        text = plan.app_yaml(found["app.yaml"].decode(), target.variables)
    except ValueError as error:
        raise DeploymentError(str(error)) from error
    return found | {"app.yaml": text.encode()}


def settings(files: Mapping[str, bytes]) -> Settings:
    """Read the settings that the app will get from its app.yaml.

    Args:
        files: Content by path; see `read`.

    Raises:
        DeploymentError: The receiver could not start with it, or a name is misspelt.
    """
    try:
        entries = yaml.safe_load(files["app.yaml"])["env"]
        misspelt = [one for one in unknown_names(one["name"] for one in entries) if one.meant]
        if misspelt:
            raise DeploymentError(f"app.yaml: {'; '.join(map(str, misspelt))}")
        written = {one["name"]: one["value"] for one in entries if "value" in one}
        return from_environment({"DATABRICKS_APP_NAME": "app"} | written)
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise DeploymentError(f"app.yaml cannot be read ({type(error).__name__})") from error
    except SettingsError as error:
        raise DeploymentError(f"app.yaml: {error}") from error


def _is_left_out(path: Path) -> bool:
    if path.suffix == ".pyc" or any(
        part == "__pycache__" or part.startswith(".") for part in path.parts
    ):
        return True
    around = {path, *path.parents}
    return bool(around & _LEFT_OUT) and not around & _KEPT
