"""The table definitions: the contract of the nine tables."""

from __future__ import annotations

import pytest
import sqlglot

from databricks_app.lake.sql_dialect import Table, statements, tables

CONTRACT = """
    event_id object_type metric event_timestamp event_date received_at loaded_at batch_id
    workspace customer_id identifiers_id identifiers_email identifiers_cio_id delivery_id
    campaign_id broadcast_id newsletter_id transactional_message_id action_id parent_action_id
    content_id journey_id trigger_id trigger_event_id
"""
COMMON = CONTRACT.split()
OWN = {
    "email": "subject recipient failure_message content headers proxied prefetched synthetic"
    " href link_id machine",
    "customer": "email_address object_type_type delivery_type content",
    "sms": "recipient failure_message content href link_id inbound_event_id to",
    "push": "recipients failure_message content href link_id",
    "in_app": "recipient failure_message content tracked_response href link_id",
    "slack": "recipient failure_message content href link_id",
    "webhook": "recipient failure_message content href link_id",
    "whatsapp": "recipient failure_message content href link_id inbound_event_id to",
}
BIGINTS = {
    "campaign_id",
    "broadcast_id",
    "newsletter_id",
    "action_id",
    "parent_action_id",
    "content_id",
    "trigger_id",
    "link_id",
    "body_bytes",
}
OTHER_TYPES = {
    "event_timestamp": "TIMESTAMP",
    "event_date": "DATE",
    "received_at": "TIMESTAMP",
    "loaded_at": "TIMESTAMP",
    "proxied": "BOOLEAN",
    "prefetched": "BOOLEAN",
    "synthetic": "BOOLEAN",
    "machine": "BOOLEAN",
    "headers": "MAP<STRING, ARRAY<STRING>>",
    "recipients": "ARRAY<STRUCT<device_id: STRING, device_platform: STRING,"
    " failure_message: STRING>>",
}

each_table = pytest.mark.parametrize("table", tables(), ids=lambda table: table.name)


def test_tables_are_the_raw_one_and_one_a_channel() -> None:
    """The raw table comes first: it is loaded first."""
    names = [table.name for table in tables()]

    assert names == ["webhook_raw_events", *(f"webhook_{own}_events" for own in OWN)]


@pytest.mark.parametrize("own", OWN)
def test_typed_table_has_the_common_columns_then_its_own(own: str) -> None:
    """Common columns first and in order, reading_notes last."""
    (table,) = (table for table in tables() if table.name == f"webhook_{own}_events")

    assert list(table.column_names) == [*COMMON, *OWN[own].split(), "reading_notes"]


def test_raw_table_has_the_columns_of_a_replay() -> None:
    """The raw table keeps the body and why the event went where it went."""
    own = tables()[0].column_names[8:]

    assert list(tables()[0].column_names[:8]) == COMMON[:8]
    assert " ".join(own) == (
        "workspace target_table unrouted_reason key_fingerprint body body_encoding body_bytes"
        " body_sha256"
    )


@each_table
def test_column_types_are_those_of_the_contract(table: Table) -> None:
    """A name has one type in every table."""
    types = {column.name: column.type for column in table.columns}
    expected = {
        name: OTHER_TYPES.get(name, "BIGINT" if name in BIGINTS else "STRING") for name in types
    }

    assert types == expected


@each_table
def test_only_the_key_and_our_own_times_are_never_null(table: Table) -> None:
    """NOT NULL only on what this project fills itself."""
    required = {column.name for column in table.columns if not column.nullable}

    assert required == {"event_id", "event_date", "received_at", "loaded_at"}


@each_table
def test_everything_has_a_comment(table: Table) -> None:
    """Table and every column say what they hold."""
    assert table.comment
    assert [column.name for column in table.columns if not column.comment] == []


@each_table
def test_definition_is_safe_to_run_twice_in_any_schema(table: Table) -> None:
    """IF NOT EXISTS, an unqualified name, clustered, not partitioned, one loader at a time."""
    tree = sqlglot.parse_one(table.sql, dialect="databricks")

    assert tree.args["exists"] is True
    assert f"CREATE TABLE IF NOT EXISTS {table.name} (" in table.sql
    assert "CLUSTER BY (event_date, " in table.sql
    assert "PARTITIONED" not in table.sql
    assert "'delta.isolationLevel' = 'Serializable'" in table.sql


def test_a_file_is_named_for_its_table_and_holds_nothing_else() -> None:
    """Numbered in running order, one statement a file."""
    files = [statement.file for statement in statements("tables")]

    assert files == [f"{n:02}_{table.name}.sql" for n, table in enumerate(tables(), start=1)]
