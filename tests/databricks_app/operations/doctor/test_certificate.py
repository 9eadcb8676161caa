"""The certificate of the public endpoint, as doctor reports it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.certificates import Authority, tls_server
from tests.support.doctoring import context_of, found, wrong


@pytest.mark.parametrize(
    ("host", "days", "state", "words", "fix"),
    [
        ("127.0.0.1", 40.2, "ok", "40 days are left", ""),
        ("127.0.0.1", 9.2, "warning", "ends in 9.2 days", "renew"),
        ("127.0.0.1", -3.0, "failure", "has expired", "renew"),
        ("lake.example.com", 40.0, "failure", "another host", "CIO_RELAY_URL"),
    ],
)
def test_the_certificate_of_the_endpoint_is_checked(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    host: str,
    days: float,
    state: str,
    words: str,
    fix: str,
) -> None:
    """Days left, or why clients refuse it."""
    authority = Authority(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.file))
    with tls_server(authority.issue(host, days_left=days)) as port:
        url = f"https://127.0.0.1:{port}"
        result = found(context_of(tmp_path, CIO_RELAY_URL=url), "certificate")

    assert result.state == state
    assert words in result.says
    assert fix in result.fix


def test_a_refused_certificate_is_not_taken_for_a_receiver_that_does_not_run(
    tmp_path: Path,
) -> None:
    """To start `ciolake serve` would not help."""
    with tls_server(Authority(tmp_path).issue("127.0.0.1", days_left=40)) as port:
        results = wrong(context_of(tmp_path, f"https://127.0.0.1:{port}"))

    assert "chain" in results["certificate"].fix
    assert results["endpoint"].fix == "see the check certificate"


def test_an_address_without_tls_has_no_certificate(tmp_path: Path) -> None:
    """The receiver on this machine; and an address that is unknown has none either."""
    here = found(context_of(tmp_path, "http://127.0.0.1:1"), "certificate")
    unknown = found(context_of(tmp_path), "certificate")
    away = found(context_of(tmp_path, "https://127.0.0.1:1"), "certificate")

    assert {one.state for one in (here, unknown, away)} == {"skipped"}
    assert "CIO_RELAY_URL" in here.fix
    assert "--url" in unknown.fix
    assert "endpoint" in away.fix
