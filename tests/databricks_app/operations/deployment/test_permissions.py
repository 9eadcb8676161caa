"""`ciolake deploy` looks for missing rights first, against the double of a workspace."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from databricks.sdk import WorkspaceClient

from databricks_app.cli.deploy import deploy
from databricks_app.errors import DeploymentError
from databricks_app.lake import sql_dialect
from databricks_app.operations.deployment import needs, permissions, plan, steps
from databricks_app.operations.deployment.needs import FoundState, Need, RequestedWork
from databricks_app.operations.deployment.target_workspace import TargetWorkspace
from tests.doubles import TOKEN, WAREHOUSE_ID, Databricks, Fault
from tests.support.deploying import few_sources

WHO, OTHER = "deployer@example.com", "other@example.com"
DEPLOYER = "double-deployer"
INSIDE = "main.customerio"
TARGET = plan.Target("ciolake", "main", "customerio", "ciolake", WAREHOUSE_ID, "ciolake")
TABLES = sql_dialect.tables()
VIEWS = [view.name for view in sql_dialect.views()]


@pytest.fixture
def double(tmp_path: Path) -> Iterator[Databricks]:
    """A workspace with a catalog, and `deployer@example.com`, who may do nothing yet."""
    with Databricks(tmp_path / "double") as double:
        double.workspace.catalog.seed("main")
        double.workspace.tokens.personal |= {DEPLOYER: WHO}
        yield double


@pytest.fixture
def workspace(double: Databricks) -> TargetWorkspace:
    """The workspace as the deployer sees it."""
    return TargetWorkspace(WorkspaceClient(host=double.url, token=DEPLOYER), TARGET)


@pytest.fixture
def full(double: Databricks, run: Callable[..., Result]) -> Databricks:
    """The double after an admin has deployed everything."""
    result = run("--no-proof", token=TOKEN)
    assert result.exit_code == 0, result.output
    double.faults.reset_counts()
    return double


@pytest.fixture
def run(double: Databricks, tmp_path: Path) -> Callable[..., Result]:
    """Run the command as the deployer: `run(*options, token=...)`."""
    folder = few_sources(tmp_path / "sources")

    def run(*options: str, token: str = DEPLOYER) -> Result:
        fixed = ["--catalog", "main", "--warehouse", WAREHOUSE_ID, "--source", str(folder)]
        variables = {"DATABRICKS_HOST": double.url, "DATABRICKS_TOKEN": token}
        env = variables | {"CIO_WEBHOOK_SIGNING_KEYS": "test-signing-key"}
        return CliRunner().invoke(deploy, [*fixed, *options], env=env)

    return run


def grant(double: Databricks, name: str, *rights: str, who: str = WHO) -> None:
    """Grant rights on a catalog, a schema or a table, by its full name."""
    parts = tuple(name.split("."))
    catalog = double.workspace.catalog
    held = catalog.get(("catalog", "schema", "table")[len(parts) - 1], parts)
    catalog.grant(held, who, set(rights), set())


def permit(double: Databricks, thing: str, level: str, who: str = WHO) -> None:
    """Put a user on the list of a warehouse or an app."""
    entry = {"user_name": who, "permission_level": level}
    double.workspace.permissions.setdefault(thing, []).append(entry)


def first_rights(double: Databricks, left_out: str = "") -> None:
    """What a first run takes, but for one."""
    for right in {"USE_CATALOG", "CREATE_SCHEMA", "MANAGE"} - {left_out}:
        grant(double, "main", right)
    level = "CAN_USE" if left_out == "CAN_MANAGE" else "CAN_MANAGE"
    permit(double, f"warehouses/{WAREHOUSE_ID}", level)


def later_rights(double: Databricks, left_out: str = "", who: str = WHO) -> None:
    """What a run takes that finds everything there, but for one."""
    held = {
        "USE_CATALOG": lambda: grant(double, "main", "USE_CATALOG", who=who),
        "USE_SCHEMA": lambda: grant(double, INSIDE, "USE_SCHEMA", who=who),
        "READ_VOLUME": lambda: double.workspace.catalog.grant(
            double.workspace.catalog.get("volume", ("main", "customerio", "ciolake")),
            who,
            {"READ_VOLUME"},
            set(),
        ),
        "SELECT": lambda: grant(double, f"{INSIDE}.webhook_raw_events", "SELECT", who=who),
        "CAN_USE": lambda: permit(double, f"warehouses/{WAREHOUSE_ID}", "CAN_USE", who),
        "CAN_MANAGE": lambda: permit(double, "apps/ciolake", "CAN_MANAGE", who),
        "READ": lambda: double.workspace.scopes["ciolake"].acls.update({who: "READ"}),
    }
    for name, give in held.items():
        if name != left_out:
            give()


def written(double: Databricks) -> set[str]:
    """Operations that changed something since the counters were reset."""
    verbs = ("create", "update", "put", "delete", "deploy", "import", "mkdirs", "start", "execute")
    return {one for one in double.faults.counts if one.rpartition(".")[2] in verbs}


def check(workspace: TargetWorkspace, **options: bool) -> list[str]:
    """The words of the step, if it finds no lack."""
    return [one.words for one in permissions.step(workspace, **options).look()]


def lack(workspace: TargetWorkspace, **options: bool) -> list[str]:
    """The statements and commands of the rights that the step finds missing."""
    with pytest.raises(DeploymentError) as caught:
        check(workspace, **options)
    return [line[2:] for line in str(caught.value).splitlines() if line.startswith("  ")]


SQL_OF = {
    "USE_CATALOG": "GRANT USE CATALOG ON CATALOG `main` TO `deployer@example.com`;",
    "CREATE_SCHEMA": "GRANT CREATE SCHEMA ON CATALOG `main` TO `deployer@example.com`;",
    "MANAGE": "GRANT MANAGE ON CATALOG `main` TO `deployer@example.com`;",
    "CAN_MANAGE": "databricks warehouses update-permissions double --json "
    '\'{"access_control_list": [{"user_name": "deployer@example.com", '
    '"permission_level": "CAN_MANAGE"}]}\'',
}


@pytest.mark.parametrize("right", SQL_OF)
def test_a_first_run_names_the_one_right_that_is_missing(
    double: Databricks, workspace: TargetWorkspace, right: str
) -> None:
    """With the statement or command that gives it, and no other."""
    first_rights(double, left_out=right)

    assert [line.partition("  ")[0] for line in lack(workspace)] == [SQL_OF[right]]


def test_all_missing_rights_are_listed_before_any_change(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """One line each with what it is for; also in a dry run; the way round is named."""
    permit(double, f"warehouses/{WAREHOUSE_ID}", "CAN_USE")
    for options in (["--no-proof"], ["--dry-run"]):
        result = run(*options)

        assert result.exit_code == 1
        assert "deployer@example.com lacks 4 rights" in result.output
        assert all(text in result.output for text in SQL_OF.values())
        assert "-- to create the schema main.customerio" in result.output
        assert "TO `account users`;" in result.output
        assert "--skip-permission-check" in result.output
    assert written(double) == set()


def test_the_check_can_be_left_out(double: Databricks, run: Callable[..., Result]) -> None:
    """Then the platform's own refusals decide, and the double refuses none of this."""
    result = run("--no-proof", "--skip-permission-check")

    assert result.exit_code == 0, result.output
    assert "permissions " not in result.output
    assert "ciolake" in double.workspace.apps.held


def test_who_has_just_the_rights_deploys_and_then_owns_what_was_made(
    double: Databricks, run: Callable[..., Result]
) -> None:
    """The second run of the same deployer needs no right that the first did not give."""
    first_rights(double)
    first = run("--no-proof")
    again = run("--no-proof")

    assert (first.exit_code, again.exit_code) == (0, 0), first.output + again.output
    assert "permissions       ok" in first.output


def test_a_later_run_needs_few_rights(full: Databricks, run: Callable[..., Result]) -> None:
    """Where all is there, nobody has to manage the catalog or the tables."""
    later_rights(full)

    result = run("--no-proof")

    assert result.exit_code == 0, result.output
    assert "permissions       ok" in result.output
    assert "unknown which privileges the app has on main.customerio" in result.output
    assert "catalog.create" not in full.faults.counts


@pytest.mark.parametrize(
    ("right", "words"),
    [
        pytest.param(
            "USE_SCHEMA",
            "GRANT USE SCHEMA ON SCHEMA `main`.`customerio` TO",
            marks=pytest.mark.slow,
        ),
        ("READ_VOLUME", "GRANT READ VOLUME ON VOLUME `main`.`customerio`.`ciolake` TO"),
        pytest.param(
            "SELECT",
            "GRANT SELECT ON TABLE `main`.`customerio`.`webhook_raw_events` TO",
            marks=pytest.mark.slow,
        ),
        ("CAN_MANAGE", "databricks apps update-permissions ciolake --json"),
        pytest.param(
            "READ",
            "databricks secrets put-acl ciolake deployer@example.com READ  #",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_later_run_names_the_one_right_that_is_missing(
    full: Databricks, workspace: TargetWorkspace, right: str, words: str
) -> None:
    """With the statement or command that gives it, and no other."""
    later_rights(full, left_out=right)
    if right == "CAN_MANAGE":
        permit(full, "apps/ciolake", "CAN_USE")

    (line,) = lack(workspace)

    assert line.startswith(words)


def test_what_changed_takes_more_rights(full: Databricks, workspace: TargetWorkspace) -> None:
    """Views to replace, columns to add, keys to rotate, things and resources that are gone."""
    later_rights(full)
    catalog = full.workspace.catalog
    catalog.get("table", ("main", "customerio", "webhook_raw_events")).columns.pop()
    catalog.drop("view", ("main", "customerio", VIEWS[0]))
    catalog.drop("volume", ("main", "customerio", "ciolake"))
    full.workspace.apps.held["ciolake"].given["resources"] = []

    lines = lack(workspace, replaces_views=True, rotates=True)

    starts = [line.partition(" TO ")[0].partition("  #")[0] for line in lines]
    inside = "`main`.`customerio`"
    assert starts == [
        f"GRANT CREATE VOLUME ON SCHEMA {inside}",
        f"GRANT CREATE TABLE ON SCHEMA {inside}",
        f"GRANT MANAGE ON TABLE {inside}.`webhook_raw_events`",
        *(f"GRANT MANAGE ON VIEW {inside}.`{view}`" for view in VIEWS[1:]),
        SQL_OF["CAN_MANAGE"],
        f"databricks secrets put-acl ciolake {WHO} MANAGE",
    ]


def test_rights_that_are_as_good_count(full: Databricks, workspace: TargetWorkspace) -> None:
    """Who may MODIFY a table may add its columns; a level contains those below it."""
    later_rights(full, left_out="CAN_USE")
    name = f"{INSIDE}.webhook_raw_events"
    full.workspace.catalog.get("table", tuple(name.split("."))).columns.pop()
    grant(full, name, "MODIFY")
    permit(full, f"warehouses/{WAREHOUSE_ID}", "CAN_MONITOR")

    assert check(workspace) == []


def test_rights_come_through_a_group(double: Databricks, workspace: TargetWorkspace) -> None:
    """Of the deployer, or of everybody."""
    double.workspace.identities.groups["data"] = {WHO}
    grant(double, "main", "MANAGE", "CREATE_SCHEMA", who="data")
    grant(double, "main", "USE_CATALOG", who="account users")
    entry = {"group_name": "data", "permission_level": "CAN_MANAGE"}
    double.workspace.permissions[f"warehouses/{WAREHOUSE_ID}"] = [entry]

    assert check(workspace) == []


def test_a_group_of_others_gives_nothing(double: Databricks, workspace: TargetWorkspace) -> None:
    """Rights of a group that the deployer is not in are not the deployer's."""
    first_rights(double, left_out="CREATE_SCHEMA")
    double.workspace.identities.groups["data"] = {OTHER}
    grant(double, "main", "CREATE_SCHEMA", who="data")

    assert len(lack(workspace)) == 1


@pytest.mark.parametrize("owned", ["catalog", "metastore", "schema"])
def test_an_owner_has_all_rights_on_what_is_inside(
    full: Databricks, workspace: TargetWorkspace, owned: str
) -> None:
    """Of the thing itself, of what it is in, or of the metastore."""
    later_rights(full)
    catalog = full.workspace.catalog
    full.workspace.identities.groups["owners"] = {WHO}
    if owned == "metastore":
        catalog.owner = "owners"
    else:
        name = ("main", "customerio")[: 1 if owned == "catalog" else 2]
        catalog.get(owned, name).owner = "owners"
    catalog.drop("view", ("main", "customerio", VIEWS[0]))

    assert check(workspace, replaces_views=True) == []


def test_all_privileges_count_but_not_for_handing_on(
    double: Databricks, workspace: TargetWorkspace
) -> None:
    """ALL PRIVILEGES leaves out MANAGE, without which nobody can grant."""
    first_rights(double)
    catalog = double.workspace.catalog.get("catalog", ("main",))
    catalog.grants[WHO] = {"ALL_PRIVILEGES"}

    (line,) = lack(workspace)

    assert line.startswith(SQL_OF["MANAGE"])


def test_admins_of_the_workspace_manage_warehouses_and_apps(
    full: Databricks, workspace: TargetWorkspace
) -> None:
    """No list names them; the data is not theirs by that."""
    full.workspace.identities.groups["admins"].add(WHO)

    lines = lack(workspace)

    assert [line.partition(" ON ")[0] for line in lines] == [
        "GRANT USE CATALOG",
        "GRANT USE SCHEMA",
        "GRANT READ VOLUME",
        "GRANT SELECT",
    ]


def test_what_the_platform_does_not_show_is_a_note(
    full: Databricks, workspace: TargetWorkspace, run: Callable[..., Result]
) -> None:
    """Refused looks name nothing missing, and the run goes on."""
    later_rights(full)
    for operation in ("grants.get_effective", "permissions.get", "catalog.metastore_summary"):
        full.faults.set(Fault("denied", operation=operation, times=None))

    notes = check(workspace)
    result = run("--no-proof")

    assert notes == [
        "unknown whether you have USE CATALOG on main, to reach main.customerio",
        "unknown whether you have USE SCHEMA on main.customerio, to reach its tables and its "
        "volume",
        f"unknown whether you have READ VOLUME on {INSIDE}.ciolake, to find the test event in the "
        "inbox",
        f"unknown whether you have SELECT on {INSIDE}.webhook_raw_events, to find the test event",
        "unknown whether you have CAN USE on double, to run statements",
        "unknown whether you have CAN MANAGE on ciolake, to deploy it",
    ]
    assert result.exit_code == 0, result.output
    assert notes[0] in result.output


def test_a_new_app_gets_its_grants_even_if_existing_ones_are_hidden(
    double: Databricks, workspace: TargetWorkspace
) -> None:
    """Nothing has proven that it can do without."""
    first_rights(double)
    double.faults.set(Fault("denied", operation="grants.get_effective", times=None))

    changes = [one.words for one in steps.rights(workspace).look()]

    assert changes[0] == "grant USE_CATALOG on main"
    assert "unknown whether you have MANAGE on main, to grant the app USE CATALOG" in check(
        workspace
    )


def test_things_that_may_not_even_be_looked_at_are_missing_rights(
    full: Databricks, workspace: TargetWorkspace
) -> None:
    """To look takes less than the right, so that a refusal says it all."""
    later_rights(full)
    for operation in ("catalog.get", "warehouses.get", "apps.get", "secrets.list"):
        full.faults.set(Fault("denied", operation=operation, times=None))
    full.workspace.scopes["ciolake"].acls.clear()

    lines = lack(workspace)

    assert steps.login(workspace).look() == []
    assert [line.partition("  ")[0].partition(" TO ")[0] for line in lines] == [
        "GRANT USE CATALOG ON CATALOG `main`",
        'databricks warehouses update-permissions double --json \'{"access_control_list": '
        '[{"user_name": "deployer@example.com", "permission_level": "CAN_USE"}]}\'',
        "databricks secrets put-acl ciolake deployer@example.com READ",
        'databricks apps update-permissions ciolake --json \'{"access_control_list": '
        '[{"user_name": "deployer@example.com", "permission_level": "CAN_MANAGE"}]}\'',
    ]


def test_tables_that_are_not_shown_are_not_taken_for_missing(
    full: Databricks, workspace: TargetWorkspace
) -> None:
    """Nothing is said about what is inside a schema that shows nothing."""
    later_rights(full, left_out="USE_SCHEMA")
    full.faults.set(Fault("denied", operation="catalog.list", times=None))

    (line,) = lack(workspace)

    assert line.startswith("GRANT USE SCHEMA")


def test_the_right_to_write_secrets_is_visible_only_to_managers(
    full: Databricks, workspace: TargetWorkspace
) -> None:
    """The lists of a scope are its managers' alone."""
    later_rights(full, left_out="READ")
    acls = full.workspace.scopes["ciolake"].acls

    acls[WHO] = "WRITE"
    assert check(workspace, rotates=True) == [
        "unknown whether you have WRITE on ciolake, to store the signing keys"
    ]
    acls[WHO] = "MANAGE"
    assert check(workspace, rotates=True) == []


def test_what_the_app_has_already_is_not_granted_again(full: Databricks) -> None:
    """Through everybody, or from the catalog and the schema; ALL PRIVILEGES too."""
    workspace = TargetWorkspace(WorkspaceClient(host=full.url, token=TOKEN), TARGET)
    catalog = full.workspace.catalog
    app = full.workspace.apps.held["ciolake"].given["service_principal_client_id"]
    for kind, name in [("schema", "customerio"), ("table", "webhook_raw_events")]:
        parts = ("main", "customerio", name) if kind == "table" else ("main", name)
        del catalog.get(kind, parts).grants[app]

    grant(full, "main", "USE_SCHEMA", who="account users")
    assert [one.words for one in steps.rights(workspace).look()] == [
        f"grant SELECT, MODIFY on {INSIDE}.webhook_raw_events"
    ]
    grant(full, INSIDE, "ALL_PRIVILEGES", who=app)
    assert steps.rights(workspace).look() == []


def test_an_admin_can_make_the_grants_instead() -> None:
    """Few are let to manage a catalog; that everybody may reach it is easier to get."""
    there = FoundState(grants=(plan.Grant("CATALOG", "main", ("USE_CATALOG",)),))

    (manage,) = [
        one for one in needs.needs(TARGET, RequestedWork(TABLES, VIEWS), there) if one.instead
    ]

    assert needs.fix(manage, WHO) == (
        "GRANT MANAGE ON CATALOG `main` TO `deployer@example.com`;  -- to grant the app USE "
        "CATALOG, or run this instead: GRANT USE CATALOG ON CATALOG `main` TO `account users`;"
    )


def test_a_schema_that_may_not_be_looked_at_asks_for_no_more() -> None:
    """What is in it cannot be known; the volume likewise."""
    there = FoundState(refused=frozenset({("SCHEMA", INSIDE)}), has_schema=True)
    seen = FoundState(
        refused=frozenset({("VOLUME", TARGET.volume_name)}),
        has_schema=True,
        has_volume=True,
        columns=None,
    )

    assert rights(there) == ["USE CATALOG", "USE SCHEMA", "CAN USE"]
    assert rights(seen) == ["USE CATALOG", "USE SCHEMA", "READ VOLUME", "CAN USE"]


def rights(there: FoundState) -> list[str]:
    """The rights alone."""
    found = needs.needs(TARGET, RequestedWork(TABLES, VIEWS), there)
    return [needs.words(need).partition(" on ")[0] for need in found]


def test_a_volume_that_goes_to_the_app_is_managed_by_the_deployer() -> None:
    """As a resource, and by a grant: one right with both reasons, in one line."""
    grants = (plan.Grant("VOLUME", TARGET.volume_name, ("READ_VOLUME",)),)
    there = FoundState(
        has_schema=True,
        has_volume=True,
        columns=None,
        principal="app-id",
        lacking=frozenset({plan.VOLUME_RESOURCE}),
        grants=grants,
    )

    (need,) = [
        one
        for one in needs.needs(TARGET, RequestedWork(TABLES, VIEWS, proves=False), there)
        if one.kind == "VOLUME"
    ]

    assert need.reason == ("to grant the app READ VOLUME and to give it to the app as a resource")


def test_a_service_principal_is_named_as_one() -> None:
    """The platform's lists have a field of their own for it."""
    need = Need("app", "ciolake", "CAN_MANAGE", "to deploy it")

    assert '"service_principal_name": "1-2-3"' in needs.fix(need, "1-2-3")
