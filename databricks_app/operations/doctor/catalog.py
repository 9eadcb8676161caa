"""The checks of Unity Catalog: tables, views and table properties against `sql/`, and grants."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from functools import cache

from databricks_app.errors import QueryError
from databricks_app.lake import sql_dialect
from databricks_app.lake.warehouse.statements import add_columns
from databricks_app.operations.doctor.context import DoctorContext
from databricks_app.operations.doctor.result import CheckResult, failure, ok, skipped, warning
from databricks_app.operations.doctor.schema_diff import Differences, compare, spelled

ISOLATION = "delta.isolationLevel"
_COLUMNS = (
    "SELECT table_name, column_name, full_data_type FROM information_schema.columns "
    "WHERE table_schema = :schema_name"
)
_TABLE_GRANTS = (
    "SELECT table_name, privilege_type FROM information_schema.table_privileges "
    "WHERE table_schema = :schema_name AND grantee = :principal"
)
_CAN_ALL = "ALL PRIVILEGES"


def tables(context: DoctorContext) -> CheckResult:
    """Check that every table and view exists with the columns and types of `sql/`."""
    found = _columns(context)
    wanted = {
        one.name: {column.name: spelled(column.type) for column in one.columns}
        for one in sql_dialect.tables()
    }
    differences = compare(wanted, found)
    if differences.is_empty:
        return warning("there are no tables yet", "the loader creates them with its first load")
    if lines := differences.lines():
        return failure("; ".join(lines), _repairs(differences))
    if missing := [one for one in sql_dialect.views() if one.name not in found]:
        names = ", ".join(one.name for one in missing)
        files = ", ".join(f"sql/views/{one.file}" for one in missing)
        return warning(f"missing views: {names}", f"restart the loader, or run {files}")
    if old := [one for one in sql_dialect.views() if one.lacking(found[one.name])]:
        lacks = "; ".join(
            f"{one.name} lacks {', '.join(one.lacking(found[one.name]))}" for one in old
        )
        files = ", ".join(f"sql/views/{one.file}" for one in old)
        return warning(
            f"views from an earlier release: {lacks}",
            f"run `ciolake deploy --replace-views`, or {files}",
        )
    return ok(f"{len(wanted)} tables and {len(sql_dialect.views())} views match sql/")


def properties(context: DoctorContext) -> CheckResult:
    """Check that every table has the table properties of `sql/`, above all the isolation level."""
    found = _columns(context)
    there = [one.name for one in sql_dialect.tables() if one.name in found]
    lacking = {
        name: missing
        for name in there
        if (
            missing := dict(
                _wanted_properties()[name].items() - _found_properties(context, name).items()
            )
        )
    }
    if not there:
        return skipped("there are no tables yet")
    if not lacking:
        return ok(
            f"{len(there)} tables have the isolation level Serializable and all other properties "
            "of sql/"
        )
    says = "; ".join(f"{name} lacks {', '.join(sorted(one))}" for name, one in lacking.items())
    fix = "\n".join(
        f"ALTER TABLE `{name}` SET TBLPROPERTIES ("
        + ", ".join(f"'{each}' = '{value}'" for each, value in sorted(one.items()))
        + ");"
        for name, one in lacking.items()
    )
    if any(ISOLATION in one for one in lacking.values()):
        return failure(f"{says}: two loaders at the same time could write an event twice", fix)
    return warning(says, fix)


def grants(context: DoctorContext) -> CheckResult:
    """Check that the app's service principal has all grants that it needs."""
    principal = context.variables.get("DATABRICKS_CLIENT_ID", "")
    if not principal:
        return skipped(
            "DATABRICKS_CLIENT_ID is not set, so it is unknown whose grants to check",
            "set DATABRICKS_CLIENT_ID to the application id of the app's service principal",
        )
    try:
        missing = list(_missing_grants(context, principal))
    except QueryError as error:
        # Not a warning: the receiver works without the right to list grants.
        return skipped(f"the grants cannot be listed: {error}", "run this as an admin")
    if not missing:
        return ok(f"{principal} has all grants that it needs")
    return warning(
        f"{principal} itself lacks {len(missing)} grants. It may have them through a group or as "
        "an owner, which this check cannot see",
        "\n".join(missing),
    )


def _missing_grants(context: DoctorContext, principal: str) -> Iterator[str]:
    """Yield the GRANT statements to run."""
    chosen = context.settings
    schema = f"{chosen.catalog}.{chosen.schema}"
    held: set[str] = set()
    # A grant on a catalog or schema is inherited by everything in it:
    # https://docs.databricks.com/data-governance/unity-catalog/manage-privileges/
    for kind, name, needed in (
        ("CATALOG", chosen.catalog, ("USE CATALOG",)),
        ("SCHEMA", schema, ("USE SCHEMA", "SELECT", "MODIFY")),
        ("VOLUME", f"{schema}.{chosen.volume}", ("READ VOLUME", "WRITE VOLUME")),
    ):
        inherited = held | _granted(context, principal, kind, name)
        if kind != "VOLUME":
            held = inherited
        lacking = [one for one in needed if not {one, _CAN_ALL} & inherited]
        if kind == "SCHEMA" and {"SELECT", "MODIFY"} & set(lacking):
            lacking = [one for one in lacking if not _is_on_tables(context, principal, one)]
        if lacking:
            yield f"GRANT {', '.join(lacking)} ON {kind} {_quoted(name)} TO `{principal}`;"


def _granted(context: DoctorContext, principal: str, kind: str, name: str) -> set[str]:
    answer = context.warehouse().run(f"SHOW GRANTS `{principal}` ON {kind} {_quoted(name)}")
    place = [one.lower() for one in answer.names].index("actiontype")
    return {str(row[place]).upper().replace("_", " ") for row in answer.rows}


def _is_on_tables(context: DoctorContext, principal: str, privilege: str) -> bool:
    """Whether the privilege was granted on every single table instead of on the schema."""
    values = {"schema_name": context.settings.schema.lower(), "principal": principal}
    rows = context.warehouse().run(_TABLE_GRANTS, values).rows
    named = {str(row[0]) for row in rows if row[1] in (privilege, _CAN_ALL)}
    return {one.name for one in sql_dialect.tables()} <= named


def _columns(context: DoctorContext) -> dict[str, dict[str, str]]:
    """Return the columns and their types, of each table and view in the schema."""
    found: defaultdict[str, dict[str, str]] = defaultdict(dict)
    values = {"schema_name": context.settings.schema.lower()}
    for table, column, kind in context.warehouse().run(_COLUMNS, values).rows:
        found[str(table)][str(column).lower()] = spelled(str(kind))
    return dict(found)


def _found_properties(context: DoctorContext, table: str) -> dict[str, str]:
    rows = context.warehouse().run(f"SHOW TBLPROPERTIES `{table}`").rows
    return {str(row[0]): str(row[1]) for row in rows}


@cache
def _wanted_properties() -> dict[str, dict[str, str]]:
    """Return the TBLPROPERTIES of each CREATE TABLE in `sql/`."""
    import sqlglot
    from sqlglot import exp

    return {
        one.name: {
            each.name: each.text("value")
            for each in sqlglot.parse_one(one.sql, dialect="databricks").find_all(exp.Property)
            if type(each) is exp.Property
        }
        for one in sql_dialect.tables()
    }


def _repairs(differences: Differences) -> str:
    """Return what to do so that the tables match `sql/`: one statement or sentence a line."""
    lines = []
    if differences.tables:
        lines.append(
            "restart the loader, which creates missing tables, or run the files in sql/tables"
        )
    lines += [
        f"{add_columns(sql_dialect.table(name), missing)};"
        for name, missing in differences.columns.items()
    ]
    lines += [
        f"rename the table {name} and restart the loader, which creates a new one; then copy the "
        "rows with casts"
        for name in differences.types
    ]
    return "\n".join(lines)


def _quoted(name: str) -> str:
    return ".".join(f"`{part}`" for part in name.split("."))
