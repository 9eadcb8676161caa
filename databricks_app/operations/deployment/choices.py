"""The step `cost`: how fresh rows must be, whether the loader stops the warehouse, the price."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import yaml

from databricks_app.errors import DeploymentError
from databricks_app.operations.costs.model import NEWSLETTERS, WarehouseChoice, price
from databricks_app.operations.deployment import plan, warehouse
from databricks_app.operations.deployment.runner import Note, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found

_SHIPPED = {plan.FRESHNESS: "900", plan.STOP: "off"}


@dataclass(frozen=True, slots=True)
class Choices:
    """What the deployer has chosen; None to ask, or to keep what is set.

    Attributes:
        freshness: Seconds until an event is a row.
        stops: Whether the loader stops the warehouse after a load.
        ask_freshness: Asks for the seconds, with a default; None if nobody can be asked.
        ask_stop: Asks whether to stop the warehouse, with a default.
    """

    freshness: float | None = None
    stops: bool | None = None
    ask_freshness: Callable[[float], float] | None = None
    ask_stop: Callable[[bool], bool] | None = None


def step(workspace: TargetWorkspace, chosen: Choices, folder: Path) -> Step:
    """Return the step that completes the target with the choices, and reports the price.

    Args:
        workspace: The target workspace; its target is replaced.
        chosen: What the deployer has chosen.
        folder: The checkout, whose app.yaml has the values that are kept.
    """
    needs = "a user of the workspace, CAN USE on the warehouse"
    return Step("cost", needs, partial(_look, workspace, chosen, folder))


def _look(workspace: TargetWorkspace, chosen: Choices, folder: Path) -> list[Note]:
    if not workspace.target.warehouse_id:
        warehouse.find(workspace)
    kept = _kept(workspace, folder)
    freshness = chosen.freshness
    if freshness is None:
        freshness = _seconds(kept[plan.FRESHNESS])
        if chosen.ask_freshness is not None:
            freshness = chosen.ask_freshness(freshness)
    described = warehouse.describe(workspace)
    is_own = not workspace.target.warehouse_id or (
        described is not None and warehouse.is_for_loader(described)
    )
    stops = chosen.stops
    if stops is None:
        stops = kept[plan.STOP] == "on"
        if is_own and chosen.ask_stop is not None:
            stops = chosen.ask_stop(stops)
    workspace.target = replace(workspace.target, freshness=f"{freshness:g}", stops=stops)
    warehouse.require_own(workspace)
    notes = [Note(one) for one in warehouse.cost_words(workspace)]
    if is_own and not stops:
        notes.append(Note(_proposal(freshness)))
    return notes


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise DeploymentError(f"app.yaml: {plan.FRESHNESS} must be seconds") from error


def _proposal(freshness: float) -> str:
    """Return what it saves if the loader stops the warehouse."""
    choice = WarehouseChoice(freshness, warehouse.AUTO_STOP_MINUTES[0])
    saved = price(choice, NEWSLETTERS).usd - price(replace(choice, stops=True), NEWSLETTERS).usd
    return (
        f"With --stop-warehouse the loader stops it after each load: about {saved:,.0f} USD a "
        f"month less at {NEWSLETTERS.name}. The app then gets CAN MANAGE on it"
    )


def _kept(workspace: TargetWorkspace, folder: Path) -> dict[str, str]:
    """Return what is set now: in the checkout if it was changed there, else in the app."""
    path = f"{workspace.folder}/source/app.yaml"
    there = found(lambda: workspace.client.workspace.download(path).read())
    deployed = _values(there, path) if there else {}
    local = folder / "app.yaml"
    own = _values(local.read_bytes(), str(local))
    return {
        name: own[name] if own.get(name, shipped) != shipped else deployed.get(name, shipped)
        for name, shipped in _SHIPPED.items()
    }


def _values(text: bytes, where: str) -> Mapping[str, str]:
    try:
        entries = yaml.safe_load(text)["env"]
        return {one["name"]: str(one["value"]) for one in entries if "value" in one}
    except (yaml.YAMLError, KeyError, TypeError) as error:
        raise DeploymentError(f"{where} cannot be read ({type(error).__name__})") from error
