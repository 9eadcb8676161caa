"""The TLS certificate of the public endpoint: how long it is valid, and whether clients accept it.

Customer.io waits an hour after a certificate error. Only the certificate of the server counts here:
one of its issuers may expire earlier.
"""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass

import certifi

WARN_DAYS = 14.0
"""An alert begins so many days before the end, or a third of a shorter life before it."""
SECONDS = 5.0
_DAY = 86400.0
_WARN_SHARE = 1 / 3
_DAILY = _DAY
_HOURLY = 3600.0
_RENEW = (
    "renew it, let the server in front read the new one, and find out why the renewal did not run"
)

# Numbers of X509_V_ERR in openssl/x509_vfy.h.
_EXPIRED, _EARLY, _OTHER_HOST, _OTHER_ADDRESS = 10, 9, 62, 64
_FAULTS = {
    _EXPIRED: ("has expired", _RENEW),
    _EARLY: (
        "is not valid yet",
        "check the clock of this machine; if it is right, wait, or install the previous one again",
    ),
    **dict.fromkeys(
        (_OTHER_HOST, _OTHER_ADDRESS),
        (
            "is for another host",
            "get a certificate for this host name, or correct the address of the webhook in "
            "Customer.io and CIO_RELAY_URL",
        ),
    ),
}
_UNTRUSTED = (
    "is not trusted by public clients",
    "install the complete chain, with the intermediate certificates, of a public authority",
)
_NO_TLS = (
    "is not shown, because the TLS handshake fails",
    "check that the server in front speaks TLS 1.2 or later on this port",
)


@dataclass(frozen=True, slots=True)
class CertificateState:
    """What a client sees.

    Attributes:
        days_left: Days until it ends; None if clients do not accept it.
        warn_days: With fewer days left than this it should be renewed.
        says: What is wrong, to follow the words "the certificate"; empty if nothing is.
        fix: What to do; empty if nothing is wrong.
    """

    days_left: float | None
    warn_days: float = WARN_DAYS
    says: str = ""
    fix: str = ""


def look(host: str, port: int, now: float, *, seconds: float = SECONDS) -> CertificateState | None:
    """Connect as a client does; return None if there is no connection, so that nothing is known.

    Args:
        host: Name or address.
        port: The port.
        now: Unix seconds.
        seconds: Timeout of each step. The system resolves the name without a timeout.
    """
    try:
        with (
            socket.create_connection((host, port), seconds) as plain,
            _trusting_context().wrap_socket(plain, server_hostname=host) as connection,
        ):
            found = connection.getpeercert() or {}
    except ssl.SSLCertVerificationError as error:
        says, fix = _FAULTS.get(error.verify_code, _UNTRUSTED)
        return CertificateState(None, says=says, fix=fix)
    except (ssl.SSLEOFError, ssl.SSLZeroReturnError):
        return None  # closed in between: the server may be restarting
    except ssl.SSLError:
        return CertificateState(None, says=_NO_TLS[0], fix=_NO_TLS[1])
    except OSError:
        return None
    return _of_dates(
        ssl.cert_time_to_seconds(str(found["notBefore"])),
        ssl.cert_time_to_seconds(str(found["notAfter"])),
        now,
    )


def _of_dates(begins: float, ends: float, now: float) -> CertificateState:
    # Some authorities issue certificates that live for six days.
    warn_days = min(WARN_DAYS, (ends - begins) / _DAY * _WARN_SHARE)
    days = (ends - now) / _DAY
    if days >= warn_days:
        return CertificateState(days, warn_days)
    return CertificateState(days, warn_days, f"ends in {max(0.0, days):.1f} days", _RENEW)


def _trusting_context() -> ssl.SSLContext:
    """Return a context that trusts the authorities of the system and of certifi."""
    context = ssl.create_default_context()
    # A small container image has no authorities.
    context.load_verify_locations(certifi.where())
    return context


class CertificateWatch:
    """Looks at a certificate once a day; every hour while something is wrong or unknown."""

    def __init__(self, host: str, read: Callable[[float], CertificateState | None]) -> None:
        """Create it.

        Args:
            host: Name of the host, for the text.
            read: Returns the state at a time in Unix seconds; None if it is unknown.
        """
        self._host = host
        self._read = read
        self._due = float("-inf")
        self._problem: str | None = None

    def problem(self, now: float) -> str | None:
        """Return what is wrong and what to do; empty if nothing is, None if that is unknown."""
        if now >= self._due:
            state = self._read(now)
            if state is not None:
                self._problem = state.says and (
                    f"The certificate of {self._host} {state.says}. After each certificate error "
                    f"Customer.io waits an hour, and its events wait: {state.fix}."
                )
            is_fine = state is not None and not state.says
            self._due = now + (_DAILY if is_fine else _HOURLY)
        return self._problem
