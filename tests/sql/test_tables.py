"""The definitions of the nine tables."""

from __future__ import annotations

import sqlglot

from databricks_app.lake.sql_dialect import statements, tables

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


def test_tables_are_the_raw_one_and_one_a_channel() -> None:
    """The raw table comes first: it is loaded first."""
    names = [table.name for table in tables()]

    assert names == ["webhook_raw_events", *(f"webhook_{own}_events" for own in OWN)]


def test_typed_tables_have_the_common_columns_then_their_own() -> None:
    """Common columns first and in order, reading_notes last."""
    found = {table.name: list(table.column_names) for table in tables()[1:]}

    assert found == {
        f"webhook_{channel}_events": [*COMMON, *own.split(), "reading_notes"]
        for channel, own in OWN.items()
    }


def test_raw_table_has_the_columns_of_a_replay() -> None:
    """The raw table has the body, the typed table of the event, and the reason if it has none."""
    own = tables()[0].column_names[8:]

    assert list(tables()[0].column_names[:8]) == COMMON[:8]
    assert " ".join(own) == (
        "workspace target_table unrouted_reason key_fingerprint body body_encoding body_bytes"
        " body_sha256"
    )


def test_column_types_are_those_of_the_contract() -> None:
    """A column name has the same type in every table."""
    types = {
        (table.name, column.name): column.type for table in tables() for column in table.columns
    }

    assert types == {
        (table, name): OTHER_TYPES.get(name, "BIGINT" if name in BIGINTS else "STRING")
        for table, name in types
    }


def test_only_the_key_and_our_own_times_are_not_null() -> None:
    """NOT NULL only on columns that this project fills itself."""
    required = {
        table.name: {column.name for column in table.columns if not column.nullable}
        for table in tables()
    }

    assert required == {
        table.name: {"event_id", "event_date", "received_at", "loaded_at"} for table in tables()
    }


def test_every_table_and_column_has_a_comment() -> None:
    """The comment says what it contains."""
    without = [table.name for table in tables() if not table.comment]
    without += [
        f"{table.name}.{column.name}"
        for table in tables()
        for column in table.columns
        if not column.comment
    ]

    assert without == []


def test_definitions_are_safe_to_run_twice_in_any_schema() -> None:
    """IF NOT EXISTS and an unqualified name. Clustered, not partitioned, Serializable."""
    wrong = []

    for table in tables():
        tree = sqlglot.parse_one(table.sql, dialect="databricks")
        checks = {
            "safe to run twice": tree.args["exists"] is True,
            "unqualified": f"CREATE TABLE IF NOT EXISTS {table.name} (" in table.sql,
            "clustered": "CLUSTER BY (event_date, " in table.sql,
            "not partitioned": "PARTITIONED" not in table.sql,
            "serializable": "'delta.isolationLevel' = 'Serializable'" in table.sql,
        }
        wrong += [(table.name, check) for check, holds in checks.items() if not holds]

    assert wrong == []


def test_a_file_is_named_for_its_table_and_holds_nothing_else() -> None:
    """Numbered in running order, one statement a file."""
    files = [statement.file for statement in statements("tables")]

    assert files == [f"{n:02}_{table.name}.sql" for n, table in enumerate(tables(), start=1)]
