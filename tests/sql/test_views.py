"""The views, each column against hand-made rows with known answers."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

import pytest

from databricks_app.lake.sql_dialect import View, statements, views

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.lake_rows import LocalTables, Rows

each_view = pytest.mark.parametrize("view", views(), ids=lambda view: view.name)


def when(day: int, hour: int = 10, minute: int = 0) -> datetime:
    """A time in November 2026."""
    return datetime(2026, 11, day, hour, minute, tzinfo=UTC)


def chosen(record: dict[str, object], *names: str) -> tuple[object, ...]:
    """Some values of a record."""
    return tuple(record[name] for name in names)


def test_view_files_say_what_a_row_is_and_which_question_they_answer() -> None:
    """In the header of the file. The view and its columns have comments."""
    wrong = []

    for view in views():
        checks = {
            "says what a row is": view.header.startswith("One row per "),
            "says what it answers": "\nAnswers: " in view.header,
            "has a comment": bool(view.comment),
            "columns have comments": all(view.column_comments.values()),
        }
        wrong += [(view.name, check) for check, holds in checks.items() if not holds]

    assert wrong == []


def test_view_files_have_the_name_of_the_view_and_can_run_twice() -> None:
    """One statement per file; the name has no schema."""
    texts = [(one.file, one.sql) for one in statements("views")]
    wrong = [
        view.name
        for view, (file, sql) in zip(views(), texts, strict=True)
        if file[2:] != f"_{view.name}.sql" or f"CREATE OR REPLACE VIEW {view.name} (" not in sql
    ]

    assert wrong == []


@each_view
def test_view_of_empty_tables_is_empty_and_has_its_columns(view: View, lake: LocalTables) -> None:
    """After a new installation every view can be queried and has the documented columns."""
    columns = lake.records(f"DESCRIBE {view.name}")
    types = {column["col_name"]: column["data_type"] for column in columns}

    assert lake.records(f"FROM {view.name} SELECT *") == []
    assert list(types) == list(view.column_comments)
    assert {types[name] for name in types if name.endswith(("_rate", "_share"))} <= {"DOUBLE"}
    assert {types[name] for name in types if name.endswith("_deliveries")} <= {"BIGINT"}
    assert {types[name] for name in types if name.endswith("_at")} <= {"TIMESTAMP"}
    assert {types[name] for name in types if name.endswith("_date")} <= {"DATE"}


def test_daily_email_engagement_counts_deliveries_not_events(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """Repeats of opens and clicks count once a delivery and twice as events."""
    lake.add(
        "email",
        *delivery("a", "sent", "delivered", "opened", "opened", "clicked", "clicked", "converted"),
        *delivery("b", "sent", "delivered", "opened"),
        *delivery("c", "sent", "delivered", "unsubscribed", "spammed"),
        *delivery("d", "sent", "delivered"),
        *delivery("e", "sent", "bounced"),
        *delivery("f", "dropped"),
        *delivery("g", "attempted", "failed"),
        *delivery("h", "undeliverable"),
    )

    assert lake.record("SELECT * FROM daily_email_engagement") == {
        "workspace": "default",
        "event_date": date(2026, 11, 1),
        "sent_deliveries": 5,
        "delivered_deliveries": 4,
        "opened_deliveries": 2,
        "human_opened_deliveries": 2,
        "machine_opened_deliveries": 0,
        "clicked_deliveries": 1,
        "human_clicked_deliveries": 1,
        "machine_clicked_deliveries": 0,
        "converted_deliveries": 1,
        "unsubscribed_deliveries": 1,
        "spammed_deliveries": 1,
        "bounced_deliveries": 1,
        "dropped_deliveries": 1,
        "failed_deliveries": 1,
        "undeliverable_deliveries": 1,
        "open_events": 3,
        "click_events": 2,
        "delivered_rate": 0.8,
        "open_rate": 0.5,
        "human_open_rate": 0.5,
        "machine_open_share": 0.0,
        "click_rate": 0.25,
        "human_click_rate": 0.25,
        "click_to_open_rate": 0.5,
        "conversion_rate": 0.25,
        "unsubscribe_rate": 0.25,
        "complaint_rate": 0.25,
        "bounce_rate": 0.2,
        "suppressed_rate": 1 / 6,
    }


def test_daily_email_engagement_separates_people_from_machines(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """Prefetched opens are machines; synthetic ones are people if a click is; proxied count."""
    lake.add(
        "email",
        *delivery("prefetched", "opened", prefetched=True, proxied=True),
        *delivery("proxied", "opened", prefetched=False, proxied=True),
        *delivery("both", "opened", prefetched=True),
        *delivery("both", "opened", prefetched=False),
        *delivery("bot click", "opened", synthetic=True),
        *delivery("bot click", "clicked", machine=True),
        *delivery("human click", "opened", synthetic=True),
        *delivery("human click", "clicked", machine=False),
        *delivery("unknown", "opened", "clicked"),
        *delivery("click tomorrow", "opened", synthetic=True),
        *delivery("click tomorrow", "clicked", day=2),
    )

    first, second = lake.records("SELECT * FROM daily_email_engagement ORDER BY event_date")

    opens = ("opened_deliveries", "human_opened_deliveries", "machine_opened_deliveries")
    clicks = ("clicked_deliveries", "human_clicked_deliveries", "machine_clicked_deliveries")
    assert chosen(first, *opens) == (7, 5, 2)
    assert chosen(first, *clicks) == (3, 2, 1)
    assert first["machine_open_share"] == 2 / 7
    assert chosen(second, *clicks) == (1, 1, 0)


def test_daily_email_engagement_has_no_rate_without_a_denominator(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """A day that has only late opens has NULL rates, not zeros or errors."""
    lake.add("email", *delivery("a", "opened"))

    record = lake.record("SELECT * FROM daily_email_engagement")

    rates = {name: record[name] for name in record if name.endswith("_rate")}
    assert rates.pop("click_to_open_rate") == 0.0
    assert set(rates.values()) == {None}


def test_daily_email_engagement_leaves_out_what_has_no_day_or_delivery(lake: LocalTables) -> None:
    """The day 1970-01-01 and events without a delivery make no rows."""
    lake.add(
        "email",
        {"metric": "sent", "delivery_id": "a", "event_timestamp": None},
        {"metric": "sent", "delivery_id": None, "event_timestamp": when(1)},
    )

    assert lake.records("SELECT * FROM daily_email_engagement") == []


def test_campaign_performance_has_a_row_per_kind_and_id(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """The same number of another kind is another row; the first cause of several counts."""
    lake.add(
        "email",
        *delivery("a", "sent", campaign_id=7),
        *delivery("b", "sent", broadcast_id=7),
        *delivery("c", "sent", newsletter_id=7, campaign_id=1),
        *delivery("d", "sent", transactional_message_id="receipt"),
        *delivery("e", "sent"),
    )

    records = lake.records("SELECT kind, id, deliveries FROM campaign_performance ORDER BY kind")

    assert [tuple(record.values()) for record in records] == [
        ("broadcast", "7", 1),
        ("campaign", "7", 1),
        ("newsletter", "7", 1),
        ("transactional", "receipt", 1),
        ("unknown", None, 1),
    ]


def test_campaign_performance_of_email(lake: LocalTables, delivery: Callable[..., Rows]) -> None:
    """Every column of one campaign with one channel."""
    of = {"campaign_id": 7}
    lake.add(
        "email",
        *delivery("a", "sent", "delivered", "opened", "clicked", "converted", **of),
        *delivery("b", "sent", "delivered", "opened", prefetched=True, **of),
        *delivery("c", "sent", "delivered", **of),
        *delivery("c", "opened", synthetic=True, **of),
        *delivery("c", "clicked", machine=True, day=3),
        *delivery("d", "sent", "delivered", "bounced", "spammed", "unsubscribed", **of),
        *delivery("e", "sent", **of),
        *delivery("f", "dropped", **of),
        *delivery("g", "failed", "undeliverable", **of),
    )
    lake.add("email", {"metric": "opened", "delivery_id": "d", "event_timestamp": None})

    assert lake.record("SELECT * FROM campaign_performance") == {
        "workspace": "default",
        "kind": "campaign",
        "id": "7",
        "channels": "email",
        "deliveries": 7,
        "sent_deliveries": 5,
        "delivered_deliveries": 4,
        "reached_deliveries": 4,
        "openable_deliveries": 4,
        "opened_deliveries": 4,
        "human_opened_deliveries": 2,
        "machine_opened_deliveries": 2,
        "clicked_deliveries": 2,
        "human_clicked_deliveries": 1,
        "machine_clicked_deliveries": 1,
        "converted_deliveries": 1,
        "replied_deliveries": 0,
        "unsubscribed_deliveries": 1,
        "spammed_deliveries": 1,
        "bounced_deliveries": 1,
        "dropped_deliveries": 1,
        "failed_deliveries": 1,
        "undeliverable_deliveries": 1,
        "first_event_at": when(1),
        "last_event_at": when(3),
        "delivered_rate": 0.8,
        "open_rate": 1.0,
        "human_open_rate": 0.5,
        "machine_open_share": 0.5,
        "click_rate": 0.5,
        "human_click_rate": 0.25,
        "click_to_open_rate": 0.5,
        "conversion_rate": 0.25,
        "unsubscribe_rate": 0.25,
        "complaint_rate": 0.25,
        "bounce_rate": 0.2,
        "suppressed_rate": 1 / 6,
        "failure_rate": 1 / 7,
    }


def test_campaign_performance_measures_each_channel_by_what_it_reports(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """Slack has no delivered, SMS no opened: this does not change the rates of other channels."""
    of = {"campaign_id": 7}
    lake.add("email", *delivery("a", "sent", "delivered", "opened", **of))
    lake.add("sms", *delivery("a", "sent", "delivered", "clicked", "replied", **of))
    lake.add("push", *delivery("b", "sent", "delivered", **of))
    lake.add("in_app", *delivery("c", "sent", "opened", **of))
    lake.add("slack", *delivery("d", "sent", **of))
    lake.add("webhook", *delivery("e", "sent", **of))
    lake.add("whatsapp", *delivery("f", "sent", "delivered", "opened", "replied", **of))

    record = lake.record("SELECT * FROM campaign_performance")

    assert record["channels"] == "email,in_app,push,slack,sms,webhook,whatsapp"
    counts = ("deliveries", "delivered_deliveries", "reached_deliveries", "openable_deliveries")
    assert chosen(record, *counts) == (7, 4, 7, 4)
    assert chosen(record, "delivered_rate", "human_open_rate") == (1.0, 0.75)
    assert chosen(record, "human_click_rate", "click_to_open_rate") == (1 / 7, 0.0)
    assert record["replied_deliveries"] == 2


def test_campaign_performance_has_no_rate_without_a_denominator(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """A campaign that only failed has NULL rates, but a failure rate."""
    lake.add("email", *delivery("a", "failed", campaign_id=7))

    record = lake.record("SELECT * FROM campaign_performance")

    rates = {name: record[name] for name in record if name.endswith(("_rate", "_share"))}
    assert rates.pop("failure_rate") == 1.0
    assert set(rates.values()) == {None}


def test_customer_engagement_summary_of_one_person(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """Every column of a person with email, Slack and subscriptions."""
    person = {"identifiers_cio_id": "cio1", "identifiers_id": "7", "customer_id": "old"}
    lake.add(
        "email",
        *delivery(
            "a", "sent", "delivered", "opened", "clicked", recipient="a@example.com", **person
        ),
        *delivery("b", "sent", "delivered", day=2, **person),
        *delivery("b", "opened", prefetched=True, day=5, **person),
        *delivery("c", "sent", "bounced", day=3, recipient="a@example.com", **person),
    )
    lake.add("slack", *delivery("d", "sent", "converted", day=4, **person))
    lake.add(
        "customer",
        {"metric": "subscribed", "event_timestamp": when(1), **person},
        {"metric": "unsubscribed", "event_timestamp": when(6), **person},
        {"metric": "subscribed", "event_timestamp": None, **person},
    )

    assert lake.record("SELECT * FROM customer_engagement_summary") == {
        "workspace": "default",
        "person": "cio1",
        "person_kind": "cio_id",
        "customer_id": "old",
        "identifiers_id": "7",
        "email": "a@example.com",
        "events": 14,
        "deliveries": 4,
        "channels": "email,slack",
        "sent_deliveries": 4,
        "delivered_deliveries": 2,
        "opened_deliveries": 2,
        "human_opened_deliveries": 1,
        "clicked_deliveries": 1,
        "human_clicked_deliveries": 1,
        "converted_deliveries": 1,
        "replied_deliveries": 0,
        "unsubscribed_deliveries": 0,
        "spammed_deliveries": 0,
        "bounced_deliveries": 1,
        "first_event_at": when(1),
        "last_event_at": when(6),
        "last_human_engagement_at": when(1, 10, 3),
        "last_subscription_metric": "unsubscribed",
        "last_subscription_at": when(6),
        "human_open_rate": 0.5,
        "human_click_rate": 1 / 3,
    }


def test_customer_engagement_summary_names_a_person_by_the_best_id(lake: LocalTables) -> None:
    """cio_id, id, customer_id, email in this order; blank ones are none; no id, no row."""
    sent = {"metric": "sent", "event_timestamp": when(1)}
    lake.add(
        "sms",
        {**sent, "identifiers_cio_id": "c", "identifiers_id": "i"},
        {**sent, "identifiers_cio_id": "", "identifiers_id": "i", "customer_id": "u"},
        {**sent, "customer_id": "u", "identifiers_email": "a@example.com"},
        {**sent, "customer_id": "", "identifiers_email": "a@example.com"},
        sent,
    )

    records = lake.records(
        "SELECT person_kind, person, deliveries, channels, human_click_rate"
        " FROM customer_engagement_summary ORDER BY person_kind"
    )

    assert [tuple(record.values()) for record in records] == [
        ("cio_id", "c", 0, "", None),
        ("customer_id", "u", 0, "", None),
        ("email", "a@example.com", 0, "", None),
        ("id", "i", 0, "", None),
    ]


def test_customer_engagement_summary_shows_the_latest_email(lake: LocalTables) -> None:
    """The address of the latest event that has one, from any of its fields."""
    person = {"identifiers_id": "7", "event_timestamp": when(1)}
    lake.add("email", {**person, "recipient": "old@example.com", "received_at": when(1)})
    lake.add("customer", {**person, "email_address": "new@example.com", "received_at": when(2)})
    lake.add("push", {**person, "received_at": when(3)})

    record = lake.record("SELECT email FROM customer_engagement_summary")

    assert record["email"] == "new@example.com"


def test_customer_engagement_summary_breaks_ties_by_event_id(lake: LocalTables) -> None:
    """Of several latest events with the same time, the greatest id counts, in any order of rows."""
    person = {"identifiers_id": "7", "received_at": when(2), "event_timestamp": when(1)}
    lake.add(
        "customer",
        {**person, "event_id": "b", "email_address": "b@example.com", "metric": "unsubscribed"},
        {**person, "event_id": "c", "email_address": "c@example.com", "metric": "subscribed"},
        {**person, "event_id": "a", "email_address": "a@example.com", "metric": "unsubscribed"},
    )
    lake.add("email", {**person, "event_id": "d", "recipient": "d@example.com", "metric": "sent"})

    record = lake.record("SELECT email, last_subscription_metric FROM customer_engagement_summary")

    assert record == {"email": "d@example.com", "last_subscription_metric": "subscribed"}


FAILURE_CLASSES: list[tuple[str | None, str]] = [
    (None, "no_message"),
    (" ", "no_message"),
    ("550 5.1.1 The email account does not exist", "unknown_user"),
    ("452 4.2.2 Mailbox full", "mailbox_full"),
    ("550 5.7.1 Message blocked", "policy"),
    ("Address is on our suppression list", "suppressed"),
    ("Liquid error: undefined variable", "rendering"),
    ("Post: net/http: request timed out", "timeout"),
    ("550 no relaying", "permanent"),
    ("smtp; 5.0.0 (undefined status)", "permanent"),
    ("421 try again later", "transient"),
    ("4.4.1 connection dropped", "transient"),
    ("order 15000 could not be read", "other"),
]


def test_webhook_error_summary_sorts_failures_into_classes(lake: LocalTables) -> None:
    """The text of the failure decides. Each text has its own workspace, and so its own row."""
    lake.add(
        "email",
        *(
            {
                "event_id": f"event{place}",
                "workspace": str(message),
                "metric": "bounced",
                "event_timestamp": when(1),
                "failure_message": message,
            }
            for place, (message, _) in enumerate(FAILURE_CLASSES)
        ),
    )

    records = lake.records("SELECT workspace, failure_class FROM webhook_error_summary")

    classes = {record["workspace"]: record["failure_class"] for record in records}
    assert classes == {str(message): expected for message, expected in FAILURE_CLASSES}
    assert len(records) == len(FAILURE_CLASSES)


# The channel, the metric, the failure text and its class.
FAILURES_OF_CHANNELS = [
    ("webhook", "failed", "HTTP/1.1 503 Service Unavailable", "transient"),
    ("webhook", "failed", "unexpected status code: 429", "transient"),
    ("webhook", "failed", '{"status":500}', "transient"),
    ("webhook", "failed", "404 page does not exist", "permanent"),
    ("webhook", "failed", "501 not implemented", "permanent"),
    ("webhook", "attempted", "404 not found", "transient"),
    ("webhook", "failed", "Post https://example.com:443/x: connection refused", "other"),
    ("slack", "failed", "HTTP 410 Gone", "permanent"),
    ("push", "failed", "503 unavailable", "transient"),
    ("push", "bounced", "410 Unregistered", "unknown_user"),
    ("sms", "failed", "HTTP 500", "transient"),
    ("sms", "failed", "status code: 400", "permanent"),
    ("sms", "failed", "carrier error 512", "other"),
    ("whatsapp", "undeliverable", "error 500 of the carrier", "other"),
    ("in_app", "failed", "550", "other"),
    ("email", "attempted", "550 no relaying", "transient"),
    ("email", "bounced", "550 4.4.1 connection dropped", "transient"),
    ("email", "bounced", "500 (earlier 421)", "permanent"),
]


@pytest.mark.parametrize(("channel", "metric", "message", "expected"), FAILURES_OF_CHANNELS)
def test_webhook_error_summary_reads_codes_by_channel(
    lake: LocalTables, channel: str, metric: str, message: str, expected: str
) -> None:
    """SMTP codes mean the opposite of HTTP statuses; a try that will be repeated is not final."""
    lake.add(channel, {"metric": metric, "event_timestamp": when(1), "failure_message": message})

    assert lake.record("SELECT * FROM webhook_error_summary")["failure_class"] == expected


def test_webhook_error_summary_counts_events_deliveries_people_and_causes(
    lake: LocalTables,
) -> None:
    """Every column of one group. Successful events are not in it."""
    failed = {
        "metric": "failed",
        "event_timestamp": when(1),
        "failure_message": "timeout",
        "delivery_id": "a",
        "identifiers_id": "7",
    }
    lake.add(
        "webhook",
        {**failed, "campaign_id": 1},
        {**failed, "newsletter_id": 1, "event_timestamp": when(1, 12)},
        {**failed, "delivery_id": "b", "broadcast_id": 1, "failure_message": "a timeout"},
        {**failed, "metric": "sent"},
    )

    assert lake.record("SELECT * FROM webhook_error_summary") == {
        "workspace": "default",
        "event_date": date(2026, 11, 1),
        "source": "message",
        "object_type": "webhook",
        "metric": "failed",
        "failure_class": "timeout",
        "events": 3,
        "deliveries": 2,
        "people": 1,
        "campaigns": 3,
        "example_message": "a timeout",
        "first_event_at": when(1),
        "last_event_at": when(1, 12),
    }


def test_webhook_error_summary_reads_the_failures_of_devices(lake: LocalTables) -> None:
    """A failed push has a reason for each device."""
    devices = [
        {"device_id": "1", "device_platform": "ios", "failure_message": None},
        {"device_id": "2", "device_platform": "ios", "failure_message": "timeout"},
    ]
    lake.add("push", {"metric": "failed", "event_timestamp": when(1), "recipients": devices})

    record = lake.record("SELECT * FROM webhook_error_summary")

    assert chosen(record, "failure_class", "example_message") == ("timeout", "timeout")


def test_webhook_error_summary_hides_nothing(lake: LocalTables) -> None:
    """Complaints, events without a time and unrouted events are rows too."""
    lake.add("email", {"metric": "spammed", "event_timestamp": when(1)})
    lake.add("slack", {"metric": "attempted", "event_timestamp": None})
    lake.add("raw", {"object_type": "fax", "event_timestamp": None, "unrouted_reason": "unknown"})

    records = lake.records(
        "SELECT event_date, source, object_type, failure_class, deliveries"
        " FROM webhook_error_summary ORDER BY object_type"
    )

    assert [tuple(record.values()) for record in records] == [
        (date(2026, 11, 1), "message", "email", "complaint", 0),
        (date(1970, 1, 1), "unrouted", "fax", "unknown", 0),
        (date(1970, 1, 1), "message", "slack", "no_message", 0),
    ]


def test_journey_performance_counts_journeys_by_the_day_they_began(
    lake: LocalTables, delivery: Callable[..., Rows]
) -> None:
    """Later events of other channels and days count for the first day."""
    first, second = {"journey_id": "j1"}, {"journey_id": "j2"}
    lake.add(
        "email",
        *delivery("a", "sent", "delivered", "opened", campaign_id=7, **first),
        *delivery("b", "sent", "delivered", campaign_id=7, **second),
        *delivery("b", "opened", prefetched=True, day=2, campaign_id=7, **second),
        *delivery("b", "clicked", "unsubscribed", machine=True, day=2, **second),
        *delivery("c", "sent", day=2, campaign_id=7, journey_id="j3"),
        *delivery("d", "sent", day=2, broadcast_id=7, journey_id="j4"),
        *delivery("e", "sent", campaign_id=7),
    )
    lake.add("in_app", *delivery("f", "sent", "clicked", "converted", day=3, **first))
    lake.add("sms", {"metric": "sent", "journey_id": "j5", "campaign_id": 7})

    records = lake.records("SELECT * FROM journey_performance ORDER BY kind DESC, start_date")

    assert records[0] == {
        "workspace": "default",
        "kind": "campaign",
        "id": "7",
        "start_date": date(2026, 11, 1),
        "journeys": 2,
        "deliveries": 3,
        "reached_journeys": 2,
        "opened_journeys": 2,
        "human_opened_journeys": 1,
        "clicked_journeys": 2,
        "human_clicked_journeys": 1,
        "converted_journeys": 1,
        "unsubscribed_journeys": 1,
        "deliveries_per_journey": 1.5,
        "human_open_rate": 0.5,
        "human_click_rate": 0.5,
        "conversion_rate": 0.5,
    }
    names = ("kind", "start_date", "journeys", "reached_journeys", "conversion_rate")
    assert [chosen(record, *names) for record in records[1:]] == [
        ("campaign", date(2026, 11, 2), 1, 0, 0.0),
        ("broadcast", date(2026, 11, 2), 1, 0, 0.0),
    ]


def test_webhook_unrouted_events_ends_when_a_typed_table_holds_the_event(lake: LocalTables) -> None:
    """The raw row stays; after a replay the event is routed. Id and day both count."""
    lake.add(
        "raw",
        {"event_id": "known", "event_timestamp": when(1), "target_table": "webhook_email_events"},
        {"event_id": "replayed", "event_timestamp": when(1), "unrouted_reason": "unknown"},
        {"event_id": "other day", "event_timestamp": when(1), "unrouted_reason": "unknown"},
        {"event_id": "waiting", "event_timestamp": when(1), "unrouted_reason": "no JSON"},
    )
    lake.add("whatsapp", {"event_id": "replayed", "event_timestamp": when(1)})
    lake.add("customer", {"event_id": "other day", "event_timestamp": when(2)})

    records = lake.records("SELECT * FROM webhook_unrouted_events ORDER BY event_id")

    assert [chosen(record, "event_id", "unrouted_reason") for record in records] == [
        ("other day", "unknown"),
        ("waiting", "no JSON"),
    ]
