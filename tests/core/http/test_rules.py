"""The pure rules of the clients: keys, hosts, retries, rate limits."""

from __future__ import annotations

import ast
import pickle
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import core
from core.errors import ConfigurationError
from core.http.api_key import ApiKey
from core.http.rate_limits import Rate, RateWindow
from core.http.regions import base_url, checked_base_url, may_see_key
from core.http.retries import PASSING, Failure, RetryPolicy, may_repeat, wait_seconds


@pytest.mark.parametrize(
    ("text", "region", "sent"),
    [
        ("abc\n", None, "Basic YWJjOg=="),
        (" sk_us_1 ", "us", "Bearer sk_us_1"),
        ("sk_eu_1", "eu", "Bearer sk_eu_1"),
        ("pk_us_1", "us", "Bearer pk_us_1"),
        ("pk_eu_1", "eu", "Bearer pk_eu_1"),
        ("sk_xx_1", None, "Basic c2tfeHhfMTo="),
    ],
)
def test_key_has_a_region_and_an_authorization(text: str, region: str | None, sent: str) -> None:
    """Classic keys are the user of HTTP Basic; keys with a region are Bearer tokens."""
    key = ApiKey(text)

    assert (key.region, key.basic_or_bearer()) == (region, sent)
    assert key.bearer() == f"Bearer {text.strip()}"


@pytest.mark.parametrize("text", ["", " \n", "a b", "a\nb", "clé", "a\x00b"])
def test_key_that_a_header_cannot_have_is_refused_without_showing_it(text: str) -> None:
    """The error names the argument, but does not show the key."""
    with pytest.raises(ConfigurationError, match=r"^api_key: ") as caught:
        ApiKey(text)

    assert not text.strip() or text not in str(caught.value)


def test_key_is_in_no_repr_and_is_removed_from_texts() -> None:
    """Both forms of the key."""
    key = ApiKey("s3cret")

    assert repr(key) == "ApiKey(...)"
    assert key.scrub("s3cret czNjcmV0Og==") == "[key] [key]"
    assert "s3cret" not in str(key)


def test_base_url_knows_both_regions_of_both_services() -> None:
    """The four hosts that the vendor documents."""
    assert base_url("pipelines", "us") == "https://cdp.customer.io"
    assert base_url("pipelines", "eu") == "https://cdp-eu.customer.io"
    assert base_url("app", "us") == "https://api.customer.io"
    assert base_url("app", "eu") == "https://api-eu.customer.io"
    with pytest.raises(ConfigurationError, match="us, eu"):
        base_url("app", "US")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "cdp.customer.io",
        "ftp://a",
        "https://",
        "https://u:p@a",
        "https://a/v1",
        "https://a?b",
        "https://[a",
        "https://a:b",
    ],
)
def test_base_url_that_cannot_be_used_is_refused(url: str) -> None:
    """Only a plain URL without `/v1` is accepted."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        checked_base_url(url)


def test_base_url_has_no_trailing_slash() -> None:
    """Paths start with a slash."""
    assert checked_base_url(" http://127.0.0.1:80/ ") == "http://127.0.0.1:80"


def test_key_may_be_sent_to_customer_io_only() -> None:
    """To https on port 443 of the vendor's hosts, not to hosts with a similar name."""
    allowed = [
        "https://cdp-eu.customer.io/v1/track",
        "https://customer.io/",
        "https://CDP.Customer.IO:443/v1",
    ]
    forbidden = [
        "http://cdp.customer.io/v1",
        "https://cdp.customer.io:8443/v1",
        "https://customer.io.example.com/",
        "https://evilcustomer.io/",
        "https://customer.io@example.com/",
        "https://x@customer.io/",
        "https://customer.io:port/",
        "https://[customer.io/",
        "/v1/track",
    ]

    assert [url for url in (*allowed, *forbidden) if may_see_key(url)] == allowed


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_call_that_was_not_executed_may_be_repeated(is_repeatable: bool) -> None:
    """After 429 and without a connection, any call may be repeated."""
    assert may_repeat(429, is_repeatable=is_repeatable)
    assert may_repeat(Failure("not_connected", "ConnectError"), is_repeatable=is_repeatable)


def test_call_with_unknown_outcome_may_be_repeated_only_if_it_is_repeatable() -> None:
    """It may have been executed."""
    failures = [*sorted(PASSING - {429}), Failure("no_answer", "ReadTimeout")]

    assert [one for one in failures if may_repeat(one, is_repeatable=True)] == failures
    assert [one for one in failures if may_repeat(one, is_repeatable=False)] == []


def test_call_that_will_fail_again_is_not_repeated() -> None:
    """A clear refusal is final."""
    failures = [400, 401, 404, 422, 501, Failure("unreadable_call", "X")]

    assert [one for one in failures if may_repeat(one, is_repeatable=True)] == []


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_wait_has_jitter_a_maximum_and_retry_after_as_minimum(
    attempt: int, random: float, asked: float
) -> None:
    """Full jitter below a maximum that doubles; at least `Retry-After`."""
    policy = RetryPolicy(attempts=1000, base_seconds=0.5, cap_seconds=8, total_seconds=1e9)
    ceiling = min(8.0, 0.5 * 2 ** (attempt - 1))

    free = wait_seconds(
        policy, attempt=attempt, elapsed_seconds=0, retry_after_seconds=None, random=random
    )
    requested = wait_seconds(
        policy, attempt=attempt, elapsed_seconds=0, retry_after_seconds=asked, random=random
    )

    assert free == pytest.approx(random * ceiling)
    if asked > 60:
        assert requested is None
    else:
        assert requested is not None
        assert asked <= requested <= asked + 0.5


def test_no_wait_after_the_last_attempt_or_the_total_time() -> None:
    """None if there are no attempts left, or if the next one would start too late."""
    policy = RetryPolicy(attempts=3, base_seconds=1, total_seconds=10)

    def wait(attempt: int, elapsed: float) -> float | None:
        return wait_seconds(
            policy, attempt=attempt, elapsed_seconds=elapsed, retry_after_seconds=None, random=0.5
        )

    assert [wait(1, 0), wait(2, 0), wait(3, 0), wait(1, 9.6)] == [0.5, 1.0, None, None]


@given(
    st.integers(1, 20),
    st.floats(0.1, 10),
    st.lists(st.floats(0, 3), min_size=1, max_size=100),
)
def test_window_never_starts_more_calls_than_the_rate(
    limit: int, per_seconds: float, gaps: list[float]
) -> None:
    """Any `limit + 1` calls in a row take at least the whole period."""
    window = RateWindow(Rate(limit, per_seconds))
    at = 0.0
    started = []
    for gap in gaps:
        at += gap
        started.append(at + window.reserve(at)[1])

    for first, last in zip(started, started[limit:], strict=False):
        assert last - first >= per_seconds - 1e-9


def test_window_waits_no_longer_than_necessary() -> None:
    """`limit` calls start at once, the next one when the first has left the window."""
    window = RateWindow(Rate(3, 10.0))

    assert [window.reserve(0.0) for _ in range(4)] == [(True, 0.0)] * 3 + [(True, 10.0)]


def test_window_reserves_nothing_after_the_maximum_wait_and_can_be_held() -> None:
    """A call that would wait too long reserves nothing; a hold delays all calls."""
    window = RateWindow(Rate(1, 10.0))
    window.reserve(0.0)

    assert window.reserve(1.0, max_wait_seconds=5.0) == (False, 9.0)
    assert window.reserve(10.0, max_wait_seconds=5.0) == (True, 0.0)
    window.hold(30.0)
    assert window.reserve(20.0) == (True, 10.0)


def test_core_imports_nothing_of_the_receiver() -> None:
    """`core` needs no receiver, no Flask and no Databricks library."""
    foreign = {"databricks_app", "flask", "databricks", "pyarrow", "deltalake", "duckdb"}
    found = set()
    for path in Path(core.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                found |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                found.add(node.module.partition(".")[0])

    assert not found & foreign


def test_retry_policy_is_a_value() -> None:
    """Policies can be compared and sent to another process."""
    assert pickle.loads(pickle.dumps(RetryPolicy())) == RetryPolicy()  # noqa: S301  # our own bytes
