"""The SQL warehouse of a deployment: makes one for the loader alone, and says what it costs."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

from databricks.sdk.errors import BadRequest, PermissionDenied
from databricks.sdk.service.sql import (
    CreateWarehouseRequestWarehouseType,
    EndpointInfo,
    EndpointTagPair,
    EndpointTags,
    GetWarehouseResponse,
)

from databricks_app.databricks.warehouse_api import TAG, TAG_VALUE
from databricks_app.errors import DeploymentError
from databricks_app.operations.costs import prices
from databricks_app.operations.costs.model import WarehouseChoice
from databricks_app.operations.costs.words import price_words
from databricks_app.operations.deployment import plan
from databricks_app.operations.deployment.runner import Note, PlannedChange, Step
from databricks_app.operations.deployment.target_workspace import TargetWorkspace, found

# The least auto-stop differs by tool and source, so the platform is asked, from the least upwards.
AUTO_STOP_MINUTES = (1, 5, 10)


def name(app: str) -> str:
    """Return the name of the warehouse that is made for the loader of an app."""
    return f"{app}-loader"


def find(workspace: TargetWorkspace) -> None:
    """Fill in the id of the warehouse that an earlier run made, if there is one.

    Raises:
        DeploymentError: A warehouse of that name was not made by a deployment.
    """
    wanted = name(workspace.target.app)
    for one in workspace.client.warehouses.list():
        if one.name == wanted:
            if not is_for_loader(one):
                raise DeploymentError(
                    f"there is a warehouse {wanted} without the tag {TAG}={TAG_VALUE}: name it by "
                    "its id with --warehouse, or rename it"
                )
            workspace.target = replace(workspace.target, warehouse_id=str(one.id))


def step(workspace: TargetWorkspace) -> Step:
    """Return the step that makes the warehouse if there is none yet."""
    return Step("warehouse", "the right to create SQL warehouses", partial(_look, workspace))


def is_for_loader(warehouse: EndpointInfo | GetWarehouseResponse) -> bool:
    """Tell whether a deployment made the warehouse for the loader: it has our tag."""
    tags = (warehouse.tags.custom_tags if warehouse.tags else None) or ()
    return any((one.key, one.value) == (TAG, TAG_VALUE) for one in tags)


def describe(workspace: TargetWorkspace) -> GetWarehouseResponse | None:
    """Read the warehouse; None if it is made later, or may not be read."""
    if not (id := workspace.target.warehouse_id):
        return None
    try:
        return found(lambda: workspace.client.warehouses.get(id))
    except PermissionDenied:
        return None  # the step `permissions` names the missing right


def require_own(workspace: TargetWorkspace) -> None:
    """Refuse to stop a warehouse that others may use.

    Raises:
        DeploymentError: The warehouse was not made by a deployment.
    """
    described = describe(workspace)
    if workspace.target.stops and described is not None and not is_for_loader(described):
        raise DeploymentError(
            f"the warehouse {workspace.target.warehouse_id} was not made for the loader, so the "
            f"loader must not stop it: leave out --stop-warehouse, or use --warehouse {plan.NEW}"
        )


def cost_words(workspace: TargetWorkspace) -> list[str]:
    """Return what the warehouse will cost, in a few lines."""
    target = workspace.target
    described = describe(workspace)
    if described is None and target.warehouse_id:
        return ["unknown: the warehouse cannot be read"]
    choice = WarehouseChoice(float(target.freshness), AUTO_STOP_MINUTES[0], target.stops)
    if described is None:
        return price_words(choice, "a new warehouse, if the platform accepts this auto-stop")
    if not described.enable_serverless_compute:
        return ["unknown: the warehouse is not serverless, so the cloud bills its machines too"]
    minutes = described.auto_stop_mins
    choice = replace(
        choice,
        auto_stop_minutes=float(AUTO_STOP_MINUTES[-1] if minutes is None else minutes),
        size=described.cluster_size or "unknown",
    )
    return price_words(choice, f"the warehouse {target.warehouse_id}, if nobody else uses it")


def _look(workspace: TargetWorkspace) -> list[PlannedChange | Note]:
    if not workspace.target.warehouse_id:
        find(workspace)
    described = describe(workspace)
    if described is not None:
        return [Note(f"{described.name} ({described.id}): {_auto_stop(described)}")]
    words = (
        f"create the serverless warehouse {name(workspace.target.app)} ({prices.LEAST_SIZE}) with "
        "the shortest auto-stop that the platform accepts"
    )
    return [PlannedChange(words, partial(_create, workspace))]


def _create(workspace: TargetWorkspace) -> Note:
    """Make it, read it back, and use it for everything that follows."""
    refused: BadRequest | None = None
    for minutes in AUTO_STOP_MINUTES:
        try:
            id = _create_with(workspace, minutes)
        except BadRequest as error:
            refused = error
            continue
        workspace.target = replace(workspace.target, warehouse_id=id)
        made = workspace.client.warehouses.get(id)
        # The platform may also accept a value and keep another one.
        is_kept = made.auto_stop_mins == minutes
        asked = "" if is_kept else f", although {minutes} min were accepted"
        words = f"its id is {id}; {_auto_stop(made)}{asked}"
        if made.auto_stop_mins != AUTO_STOP_MINUTES[0]:
            # The price that was printed before is that of the least auto-stop.
            words += f". {cost_words(workspace)[0]}"
        return Note(words)
    raise refused or DeploymentError("no auto-stop was tried")


def _create_with(workspace: TargetWorkspace, minutes: int) -> str:
    made: Any = workspace.client.warehouses.create(
        name=name(workspace.target.app),
        cluster_size=prices.LEAST_SIZE,
        warehouse_type=CreateWarehouseRequestWarehouseType.PRO,
        enable_serverless_compute=True,
        min_num_clusters=1,
        max_num_clusters=1,
        auto_stop_mins=minutes,
        tags=EndpointTags([EndpointTagPair(TAG, TAG_VALUE)]),
    )
    return str(made.response.id)


def _auto_stop(warehouse: GetWarehouseResponse) -> str:
    minutes = warehouse.auto_stop_mins
    return "it never stops by itself" if not minutes else f"auto-stop {minutes} min"
