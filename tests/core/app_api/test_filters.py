"""Filters of lists: a wrong name is an error, because the vendor would return everything."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from core.app_api import AppClient, index
from core.app_api.messages import Messages
from core.errors import ValidationError
from tests.support.app_api_double import AppApiDouble
from tests.support.vendor_server import VendorServer

DAY = datetime(2026, 11, 21, tzinfo=UTC)


def test_misspelt_filter_is_refused_and_nothing_is_sent(
    app: AppClient, vendor: VendorServer
) -> None:
    """`metrics` instead of `metric` would list every delivery of six months."""
    with pytest.raises(TypeError, match="metrics"):
        list(app.messages.list(metrics="bounced"))  # type: ignore[call-arg]

    assert vendor.calls == []


def test_no_method_takes_arguments_of_any_name() -> None:
    """So each of them refuses a misspelt one, and an editor completes the right ones."""
    open_ended = [
        f"{method.noun}.{method.name}"
        for method in index.methods()
        if any(
            one.kind is one.VAR_KEYWORD
            for one in inspect.signature(method.function).parameters.values()
        )
    ]

    assert open_ended == []


def test_help_shows_the_filters() -> None:
    """With their allowed values."""
    shown = pydoc.plain(pydoc.render_doc(Messages.list))

    assert "metric: 'Reached | None' = None" in shown
    assert "start_ts: 'Moment | None' = None" in shown


@pytest.mark.parametrize(
    "value",
    [DAY, DAY.astimezone(timezone(timedelta(hours=5))), DAY + timedelta(microseconds=7)],
    ids=["utc", "other zone", "fraction is cut"],
)
def test_time_of_a_filter_becomes_unix_seconds(
    app: AppClient, double: AppApiDouble, value: datetime
) -> None:
    """The vendor knows only whole Unix seconds."""
    list(app.messages.list(start_ts=value))

    assert double.queries[0]["start_ts"] == str(int(DAY.timestamp()))


@pytest.mark.parametrize("value", [datetime(2026, 11, 21), float("nan")])  # noqa: DTZ001
def test_filter_that_is_no_moment_is_named(
    app: AppClient, vendor: VendorServer, value: Any
) -> None:
    """A time without zone is ambiguous, and `nan` would be sent as a word."""
    with pytest.raises(ValidationError) as caught:
        list(app.messages.list(start_ts=value))

    assert caught.value.field == "start_ts"
    assert vendor.calls == []


SELECTING: dict[str, tuple[Callable[[AppClient, Any], object], str]] = {
    "broadcast": (lambda app, body: app.broadcasts.trigger(7, body), "emails"),
    "deliveries": (lambda app, body: app.exports.deliveries(body), "metric"),
    "export": (lambda app, body: app.exports.customers(body), "filters"),
    "people": (lambda app, body: app.customers.search(body), "filter"),
    "objects": (lambda app, body: app.objects.search(body), "filter"),
}


@pytest.mark.parametrize(("call", "name"), SELECTING.values(), ids=SELECTING.keys())
def test_misspelt_field_that_selects_is_refused(
    app: AppClient,
    vendor: VendorServer,
    call: Callable[[AppClient, Any], object],
    name: str,
) -> None:
    """The vendor ignores it: the broadcast would go to its whole audience."""
    with pytest.raises(ValidationError, match=f"did you mean '{name}'") as caught:
        call(app, {f"{name}_": ["ada@example.com"]})

    assert caught.value.field == f"body.{name}_"
    assert vendor.calls == []
