"""The certificate of a real TLS server: days left, expired, another host, unknown authority."""

from __future__ import annotations

import socket
import time
from pathlib import Path

import pytest

from databricks_app.operations.certificate import CertificateState, CertificateWatch, look
from tests.support.certificates import Authority, tls_server


@pytest.fixture
def authority(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Authority:
    """An authority that this process trusts, as it trusts those of the system."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    return authority


@pytest.mark.parametrize(
    ("days", "life", "words"),
    [
        (40.5, 90, ""),
        (13.5, 90, "ends in 13.5 days"),
        (0.5, 90, "ends in 0.5 days"),
        (4.5, 6, ""),
        (1.5, 6, "ends in 1.5 days"),
    ],
)
def test_a_certificate_is_to_be_renewed_two_weeks_or_a_third_of_its_life_before_its_end(
    authority: Authority, days: float, life: float, words: str
) -> None:
    """So that one that lives for six days is not always reported."""
    with tls_server(authority.issue("127.0.0.1", days_left=days, life_days=life)) as port:
        state = look("127.0.0.1", port, time.time())

    assert state is not None
    assert state.days_left == pytest.approx(days, abs=0.01)
    assert state.says == words
    assert ("renew" in state.fix) is bool(words)


@pytest.mark.parametrize(
    ("host", "days", "says", "fix"),
    [
        ("127.0.0.1", -1.0, "has expired", "renew"),
        ("localhost", 40.0, "is for another host", "CIO_RELAY_URL"),
        ("127.0.0.2", 40.0, "is for another host", "host name"),
        ("127.0.0.1", 91.0, "is not valid yet", "clock"),
    ],
)
def test_a_certificate_that_clients_refuse_is_named_with_its_fix(
    authority: Authority, host: str, days: float, says: str, fix: str
) -> None:
    """No client is talked into it to find out more."""
    with tls_server(authority.issue(host, days_left=days)) as port:
        state = look("127.0.0.1", port, time.time())

    assert state is not None
    assert (state.days_left, state.says) == (None, says)
    assert fix in state.fix


def test_a_certificate_of_an_unknown_authority_lacks_its_chain(tmp_path: Path) -> None:
    """Browsers fetch missing parts; Customer.io need not."""
    with tls_server(Authority(tmp_path).issue("127.0.0.1", days_left=40)) as port:
        state = look("127.0.0.1", port, time.time())

    assert state is not None
    assert "not trusted" in state.says
    assert "chain" in state.fix


def test_a_port_without_tls_is_a_fault_and_no_connection_is_unknown() -> None:
    """Nothing is said of a certificate that was not seen."""
    with tls_server(None) as port:
        plain = look("127.0.0.1", port, time.time())
    closed = look("127.0.0.1", port, time.time())

    assert plain is not None
    assert "handshake" in plain.says
    assert closed is None


def test_a_server_that_says_nothing_is_unknown_within_the_time() -> None:
    """It accepts the connection alone."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        state = look("127.0.0.1", listener.getsockname()[1], time.time(), seconds=0.1)

    assert state is None
    assert time.monotonic() - began < 2


def test_a_watch_looks_once_a_day_and_every_hour_while_something_is_wrong() -> None:
    """What is unknown changes nothing."""
    ends = CertificateState(13.0, says="ends in 13.0 days", fix="renew it")
    states = iter([CertificateState(40.0), ends, None, CertificateState(90.0), None])
    looked: list[float] = []

    def read(now: float) -> CertificateState | None:
        looked.append(now)
        return next(states)

    watch = CertificateWatch("lake.example.com", read)
    said = [watch.problem(hour * 3600.0) for hour in range(51)]

    assert [at / 3600 for at in looked] == [0, 24, 25, 26, 50]
    assert said[:24] == [""] * 24
    assert said[24] is not None
    assert "lake.example.com ends in 13.0 days" in said[24]
    assert said[25] == said[24]
    assert said[26:] == [""] * 25


def test_a_watch_that_never_had_a_connection_knows_nothing() -> None:
    """It has no problem to report, and none to take back."""
    assert CertificateWatch("lake.example.com", lambda _: None).problem(0) is None
