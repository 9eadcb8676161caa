"""The pure rules under the clients: keys, hosts, retries, rates."""

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
def test_key_tells_its_region_and_how_it_is_sent(text: str, region: str | None, sent: str) -> None:
    """Classic keys are the user of HTTP Basic; keys with a region are Bearer tokens."""
    key = ApiKey(text)

    assert (key.region, key.basic_or_bearer()) == (region, sent)
    assert key.bearer() == f"Bearer {text.strip()}"


@pytest.mark.parametrize("text", ["", " \n", "a b", "a\nb", "clé", "a\x00b"])
def test_key_that_no_header_can_carry_is_refused_without_showing_it(text: str) -> None:
    """The error names the argument; the key's text is not in it."""
    with pytest.raises(ConfigurationError, match=r"^api_key: ") as caught:
        ApiKey(text)

    assert not text.strip() or text not in str(caught.value)


def test_key_is_in_no_repr_and_scrubs_itself() -> None:
    """Neither form of the key survives in a text."""
    key = ApiKey("s3cret")

    assert repr(key) == "ApiKey(...)"
    assert key.scrub("s3cret czNjcmV0Og==") == "[key] [key]"
    assert "s3cret" not in str(key)


def test_base_url_knows_both_regions_of_both_services() -> None:
    """The four hosts of the vendor's pages."""
    assert base_url("pipelines", "us") == "https://cdp.customer.io"
    assert base_url("pipelines", "eu") == "https://cdp-eu.customer.io"
    assert base_url("app", "us") == "https://api.customer.io"
    assert base_url("app", "eu") == "https://api-eu.customer.io"
    with pytest.raises(ConfigurationError, match="region: must be one of us, eu"):
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
    """Only a plain address before `/v1` is taken."""
    with pytest.raises(ConfigurationError, match=r"^base_url: "):
        checked_base_url(url)


def test_base_url_loses_the_slash_at_its_end() -> None:
    """Paths begin with a slash, so the host ends without."""
    assert checked_base_url(" http://127.0.0.1:80/ ") == "http://127.0.0.1:80"


@pytest.mark.parametrize(
    ("url", "may"),
    [
        ("https://cdp-eu.customer.io/v1/track", True),
        ("https://customer.io/", True),
        ("https://CDP.Customer.IO:443/v1", True),
        ("http://cdp.customer.io/v1", False),
        ("https://cdp.customer.io:8443/v1", False),
        ("https://customer.io.example.com/", False),
        ("https://evilcustomer.io/", False),
        ("https://customer.io@example.com/", False),
        ("https://x@customer.io/", False),
        ("https://customer.io:port/", False),
        ("https://[customer.io/", False),
        ("/v1/track", False),
    ],
)
def test_key_may_go_to_customer_io_only(url: str, may: bool) -> None:
    """Https on the usual port of the vendor's own hosts, and nothing that resembles them."""
    assert may_see_key(url) is may


@pytest.mark.parametrize("is_repeatable", [True, False])
def test_may_repeat_what_was_certainly_not_done(is_repeatable: bool) -> None:
    """A 429 and a connection that never stood are repeated whatever the call does."""
    assert may_repeat(429, is_repeatable=is_repeatable)
    assert may_repeat(Failure("not_connected", "ConnectError"), is_repeatable=is_repeatable)


@pytest.mark.parametrize("failed", [*sorted(PASSING - {429}), Failure("no_answer", "ReadTimeout")])
def test_may_repeat_an_unknown_outcome_only_if_twice_is_harmless(failed: int | Failure) -> None:
    """What may have been done is repeated only where that does no harm."""
    assert may_repeat(failed, is_repeatable=True)
    assert not may_repeat(failed, is_repeatable=False)


@pytest.mark.parametrize("failed", [400, 401, 404, 422, 501, Failure("unreadable_call", "X")])
def test_may_not_repeat_what_will_fail_again(failed: int | Failure) -> None:
    """A clear refusal is final."""
    assert not may_repeat(failed, is_repeatable=True)


@given(st.integers(1, 100), st.floats(0, 1, exclude_max=True), st.floats(0, 100))
def test_wait_is_jittered_bounded_and_never_shorter_than_asked(
    attempt: int, random: float, asked: float
) -> None:
    """Full jitter below a doubling ceiling; Retry-After is the least."""
    policy = RetryPolicy(attempts=1000, base_seconds=0.5, cap_seconds=8, total_seconds=1e9)
    ceiling = min(8.0, 0.5 * 2 ** (attempt - 1))

    free = wait_seconds(
        policy, attempt=attempt, elapsed_seconds=0, retry_after_seconds=None, random=random
    )
    told = wait_seconds(
        policy, attempt=attempt, elapsed_seconds=0, retry_after_seconds=asked, random=random
    )

    assert free == pytest.approx(random * ceiling)
    assert told is None if asked > 60 else told is not None and asked <= told <= asked + 0.5


def test_wait_ends_with_the_attempts_and_with_the_time() -> None:
    """The last attempt is not followed by a wait, nor is one that would come too late."""
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
def test_window_never_lets_more_begin_than_the_rate(
    limit: int, per_seconds: float, gaps: list[float]
) -> None:
    """Whenever the calls come, any `limit + 1` in a row span the whole stretch."""
    window = RateWindow(Rate(limit, per_seconds))
    at = 0.0
    begun = []
    for gap in gaps:
        at += gap
        begun.append(at + window.reserve(at)[1])

    for first, last in zip(begun, begun[limit:], strict=False):
        assert last - first >= per_seconds - 1e-9


def test_window_waits_no_longer_than_it_must() -> None:
    """The whole limit passes at once, the next call when the first is out of the window."""
    window = RateWindow(Rate(3, 10.0))

    assert [window.reserve(0.0) for _ in range(4)] == [(True, 0.0)] * 3 + [(True, 10.0)]


def test_window_reserves_nothing_beyond_patience_and_is_held_on_demand() -> None:
    """An impatient call leaves its place to others; a hold delays all."""
    window = RateWindow(Rate(1, 10.0))
    window.reserve(0.0)

    assert window.reserve(1.0, max_wait_seconds=5.0) == (False, 9.0)
    assert window.reserve(10.0, max_wait_seconds=5.0) == (True, 0.0)
    window.hold(30.0)
    assert window.reserve(20.0) == (True, 10.0)


def test_core_imports_nothing_of_the_receiver() -> None:
    """`core` stands alone: no receiver, no Flask, nothing of Databricks."""
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
