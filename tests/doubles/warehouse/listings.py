"""The content of the catalog as rows: the information schema, SHOW, DESCRIBE.

Not simulated: other columns of these listings, statistics, history.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from tests.doubles.warehouse.failures import SqlFailure

if TYPE_CHECKING:
    from tests.doubles.workspace.metastore import Securable
    from tests.doubles.workspace.state import Workspace


def table(names: Sequence[str], rows: Iterable[Sequence[object]]) -> pa.Table:
    """Make a table of texts, numbers and booleans; a column without rows is text."""
    listed = list(rows)
    columns = [pa.array([row[index] for row in listed]) for index in range(len(names))]
    texts = [one.cast(pa.string()) if pa.types.is_null(one.type) else one for one in columns]
    return pa.table(dict(zip(names, texts, strict=True)))


def information_schema(workspace: Workspace, catalog: str, name: str) -> pa.Table:
    """Return one relation of a catalog's information schema.

    Raises:
        SqlFailure: The double does not have this relation.
    """
    securable = workspace.catalog.inside("table", (catalog,))
    if name == "columns":
        names = (
            "table_catalog table_schema table_name column_name ordinal_position is_nullable"
            " full_data_type data_type comment"
        )
        rows = [
            (*one.name, *column)
            for one in securable
            for column in (
                (
                    each.name,
                    index,
                    "YES" if each.nullable else "NO",
                    each.type.lower().replace(", ", ",").replace(": ", ":"),
                    each.type.partition("<")[0],
                    each.comment or None,
                )
                for index, each in enumerate(one.columns)
            )
        ]
        return table(names.split(), rows)
    if name == "tables":
        names = "table_catalog table_schema table_name table_type comment"
        kinds = {"table": "MANAGED", "view": "VIEW"}
        return table(
            names.split(), [(*one.name, kinds[one.kind], one.comment or None) for one in securable]
        )
    if name == "schemata":
        found = workspace.catalog.inside("schema", (catalog,))
        return table(("catalog_name", "schema_name"), [one.name for one in found])
    if name == "volumes":
        found = workspace.catalog.inside("volume", (catalog,))
        names = "volume_catalog volume_schema volume_name volume_type"
        return table(names.split(), [(*one.name, "MANAGED") for one in found])
    if name == "table_privileges":
        names = "grantee table_catalog table_schema table_name privilege_type"
        grants = [
            (who, *one.name, what)
            for one in securable
            for who, privileges in one.grants.items()
            for what in sorted(privileges)
        ]
        return table(names.split(), grants)
    raise SqlFailure("DOUBLE_UNSUPPORTED", f"No information_schema.{name} here.", "0A000")


def tables(found: list[Securable]) -> pa.Table:
    """Return the rows of SHOW TABLES."""
    names = ("database", "tableName", "isTemporary")
    return table(names, [(one.name[1], one.name[2], False) for one in found])


def views(found: list[Securable]) -> pa.Table:
    """Return the rows of SHOW VIEWS."""
    names = ("namespace", "viewName", "isTemporary", "isMaterialized")
    rows = [(one.name[1], one.name[2], False, False) for one in found if one.kind == "view"]
    return table(names, rows)


def description(securable: Securable, *, is_extended: bool) -> pa.Table:
    """Return the rows of DESCRIBE TABLE; with EXTENDED also those about the table."""
    rows: list[tuple[str, str, str | None]] = [
        (column.name, column.type.lower(), column.comment or None) for column in securable.columns
    ]
    if securable.clustering:
        rows += [("# Clustering Information", "", ""), ("# col_name", "data_type", "comment")]
        kinds = {column.name: column.type.lower() for column in securable.columns}
        rows += [(name, kinds.get(name, ""), None) for name in securable.clustering]
    if is_extended:
        kind = "VIEW" if securable.kind == "view" else "MANAGED"
        properties = ",".join(
            f"{key}={value}" for key, value in sorted(securable.properties.items())
        )
        rows += [
            ("", "", ""),
            ("# Detailed Table Information", "", ""),
            ("Catalog", securable.name[0], ""),
            ("Database", securable.name[1], ""),
            ("Table", securable.name[2], ""),
            ("Type", kind, ""),
            ("Comment", securable.comment, ""),
            ("Provider", "delta", ""),
            ("Table Properties", f"[{properties}]", ""),
        ]
    return table(("col_name", "data_type", "comment"), rows)


def properties(securable: Securable) -> pa.Table:
    """Return the rows of SHOW TBLPROPERTIES."""
    return table(("key", "value"), sorted(securable.properties.items()))


def grants(securable: Securable) -> pa.Table:
    """Return the rows of SHOW GRANTS."""
    rows = [
        (who, what.replace("_", " "), securable.kind.upper(), securable.full_name)
        for who, privileges in sorted(securable.grants.items())
        for what in sorted(privileges)
    ]
    return table(("Principal", "ActionType", "ObjectType", "ObjectKey"), rows)
