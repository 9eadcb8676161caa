"""Values of databases and data frames are sent unchanged, or the error names item and field."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from collections.abc import Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import numpy
import pandas
import pytest

from core.app_api import AppClient
from core.app_api.flows import composing
from core.errors import ValidationError
from core.pipelines import PipelinesClient
from tests.support.vendor_server import VendorServer

AT = datetime(2026, 1, 31, 8, 30, tzinfo=UTC)
ID = uuid.UUID(int=7)
Connect = Callable[..., PipelinesClient]

CONVERTED: dict[str, tuple[Any, Any]] = {
    "numpy integer": (numpy.int64(7), 7),
    "numpy float": (numpy.float32(0.5), 0.5),
    "numpy Boolean": (numpy.bool_(True), True),
    "numpy text": (numpy.str_("a"), "a"),
    "whole Decimal": (Decimal("7.00"), 7),
    "Decimal": (Decimal("19.90"), 19.9),
    "UUID": (ID, str(ID)),
    "datetime": (AT, "2026-01-31T08:30:00Z"),
    "pandas Timestamp": (pandas.Timestamp(AT), "2026-01-31T08:30:00Z"),
}
REFUSED: dict[str, Any] = {
    "NaT": pandas.NaT,
    "NA": pandas.NA,
    "nan": float("nan"),
    "numpy nan": numpy.float32("nan"),
    "Decimal without a float": Decimal("0.12345678901234567890"),
    "Decimal infinity": Decimal("Infinity"),
    "huge Decimal": Decimal("1E+1000000"),
    "time without zone": datetime(2026, 1, 1),  # noqa: DTZ001
    "numpy time": numpy.datetime64("2026-01-31"),
    "nanoseconds": pandas.Timestamp("2026-01-31T08:30:00.000000001Z"),
    "array": numpy.array([1, 2]),
    "set": {1, 2},
}


@pytest.mark.parametrize(("value", "sent"), CONVERTED.values(), ids=CONVERTED.keys())
def test_value_is_converted_in_both_clients(
    connect: Connect, app: AppClient, vendor: VendorServer, value: Any, sent: Any
) -> None:
    """In the properties of an event and in the data of a message."""
    connect().track("u", event="E", properties={"rows": [{"x": value}]})
    app.send.email({"identifiers": {"id": "u"}, "message_data": {"x": value}})  # type: ignore[typeddict-item]

    assert vendor.calls[0].json["properties"] == {"rows": [{"x": sent}]}
    assert vendor.calls[1].json["message_data"] == {"x": sent}


@pytest.mark.parametrize("value", REFUSED.values(), ids=REFUSED.keys())
def test_value_that_would_change_is_refused_by_name(
    connect: Connect,
    app: AppClient,
    vendor: VendorServer,
    refused_field: Callable[[Callable[[], object]], str],
    value: Any,
) -> None:
    """The error names the item and the field; nothing is sent."""
    item: Any = {"type": "identify", "userId": "u", "traits": {"rows": [{"x": value}]}}
    body: Any = {"identifiers": {"id": "u"}, "message_data": {"rows": [{"x": value}]}}

    in_batch = refused_field(lambda: connect().batch([item]))
    in_body = refused_field(lambda: app.send.email(body))

    assert in_batch == "items[0].traits.rows[0].x"
    assert in_body == "body.message_data.rows[0].x"
    assert vendor.calls == []


@pytest.mark.parametrize("value", [42, numpy.int64(42), Decimal(42)], ids=["int", "numpy", "sql"])
def test_number_as_id_is_sent_as_text(
    connect: Connect, app: AppClient, vendor: VendorServer, value: Any
) -> None:
    """Databases have numbers as ids; for the vendor an id is text."""
    connect().identify(value)
    connect().relationships.delete(value, value)
    app.send.email({"identifiers": {"id": value}})  # type: ignore[typeddict-item]
    app.broadcasts.trigger(7, {"ids": [value]})
    app.customers.attributes(value)

    identify, relationship, email, broadcast, attributes = vendor.calls
    assert identify.json["userId"] == "42"
    assert relationship.json["properties"]["objectId"] == "42"
    assert email.json["identifiers"] == {"id": "42"}
    assert broadcast.json["ids"] == ["42"]
    assert attributes.target == "/v1/customers/42/attributes"


def test_uuid_as_id_is_sent_as_text(connect: Connect, vendor: VendorServer) -> None:
    """Also as the id of the message."""
    connect().batch([{"type": "page", "userId": ID, "messageId": ID}])

    [item] = vendor.items()
    assert (item["userId"], item["messageId"]) == (str(ID), str(ID))


@pytest.mark.parametrize("value", [42.0, float("nan"), None, True, pandas.NaT])
def test_value_that_is_no_id_is_refused(
    connect: Connect, app: AppClient, vendor: VendorServer, value: Any
) -> None:
    """A data frame turns whole numbers beside missing ones into floats."""
    with pytest.raises(ValidationError, match=r"^user_id"):
        connect().identify(value)
    with pytest.raises(ValidationError, match=r"^customer_id"):
        app.customers.attributes(value)
    assert vendor.calls == []


def test_nat_as_timestamp_is_refused_by_name(connect: Connect, vendor: VendorServer) -> None:
    """It is a datetime whose methods raise a bare ValueError."""
    item: Any = {"type": "page", "userId": "u", "timestamp": pandas.NaT}

    with pytest.raises(ValidationError, match=r"^items\[0\].timestamp: .*NaT"):
        connect().batch([item])

    assert vendor.calls == []


def test_time_to_send_becomes_unix_seconds(app: AppClient, vendor: VendorServer) -> None:
    """Where the vendor takes Unix seconds; `composing` checks it too."""
    body: Any = {
        "to": "ada@example.com",
        "identifiers": {"id": 7},
        "transactional_message_id": 1,
        "send_at": AT,
        "message_data": {"total": Decimal("19.90"), "at": AT},
    }

    app.send.email(composing.checked(body, now=AT.timestamp()))
    with pytest.raises(ValidationError, match=r"^send_at"):
        composing.checked(body, now=0)

    assert vendor.calls[0].json["send_at"] == int(AT.timestamp())
    assert vendor.calls[0].json["message_data"] == {"total": 19.9, "at": "2026-01-31T08:30:00Z"}


def test_price_of_an_event_may_be_a_decimal(connect: Connect, vendor: VendorServer) -> None:
    """The type of a declared property is checked after the conversion."""
    properties: Any = {"product_id": "p", "price": Decimal("19.90"), "quantity": numpy.int64(2)}

    connect().ecommerce.product_added("u", properties)
    with pytest.raises(ValidationError, match=r"^properties.price: .*digits"):
        connect().ecommerce.product_added("u", {"price": Decimal("0.12345678901234567890")})  # type: ignore[typeddict-item]

    sent = vendor.calls[0].json["properties"]
    assert (sent["price"], sent["quantity"]) == (19.9, 2)


def test_clients_import_neither_pandas_nor_numpy() -> None:
    """Their values are recognized by what they can do."""
    code = (
        "import sys, json, core.pipelines, core.app_api;"
        "print(json.dumps(sorted({'pandas', 'numpy'} & set(sys.modules))))"
    )

    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )

    assert json.loads(found.stdout) == []
