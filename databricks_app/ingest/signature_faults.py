"""What each fault of a signature means, and what to do about it, in words. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from core.webhooks.diagnosis import PROVEN, SignatureFault


@dataclass(frozen=True, slots=True)
class FaultWords:
    """The words for a fault.

    Attributes:
        means: What the request has; follows "a request".
        fix: What to do.
    """

    means: str
    fix: str


_EXPLAIN = "capture one request and run `ciolake explain-signature` on it"

WORDS: Mapping[SignatureFault, FaultWords] = {
    SignatureFault.MISSING_HEADER: FaultWords(
        "has no X-CIO-Signature or no X-CIO-Timestamp",
        "the sender is not Customer.io, or a proxy in front removes the headers: let it pass them",
    ),
    SignatureFault.MALFORMED_HEADER: FaultWords(
        "has an X-CIO-Signature that is not 64 hex digits, or an X-CIO-Timestamp that is not Unix "
        "seconds",
        "the sender is not Customer.io, or a proxy in front changes the headers: let it pass them "
        "as they are",
    ),
    SignatureFault.STALE: FaultWords(
        "has a right signature, and a timestamp outside the time window",
        "check the clock of the receiver's machine; if it is right, the sender repeats old "
        "requests: see CIO_STALE_TIMESTAMPS",
    ),
    SignatureFault.BODY_ONLY: FaultWords(
        "has a signature over the body alone",
        "the sender must sign `v0:`, the header X-CIO-Timestamp, `:` and the body. Customer.io "
        "does, so this is another program with your key: correct it",
    ),
    SignatureFault.REENCODED_BODY: FaultWords(
        "has a body that was changed after it was signed; its content is the same",
        "a proxy, gateway or function in front writes the body again: let it pass every byte as it "
        "is, without reading JSON, changing line ends or the character set",
    ),
    SignatureFault.QUOTED_KEY: FaultWords(
        "is signed with the signing key, but with quotes, white space or a byte order mark around "
        "the key on one side",
        "remove them from the key, in the program that signs or in CIO_WEBHOOK_SIGNING_KEYS",
    ),
    SignatureFault.ENCODED_KEY: FaultWords(
        "is signed with the signing key after it was decoded or encoded (base64 or hex)",
        "use the text of the key as Customer.io shows it, in the program that signs and in "
        "CIO_WEBHOOK_SIGNING_KEYS",
    ),
    SignatureFault.BASE64_SIGNATURE: FaultWords(
        "has a signature in base64 instead of hex",
        "Customer.io sends 64 hex digits, so another program signs, or a proxy changes the header: "
        "correct it",
    ),
    SignatureFault.OTHER_KEY: FaultWords(
        "is signed with the key of another workspace or an earlier key",
        "copy the signing key from the page Reporting Webhooks of the workspace that sends, and "
        "add it to CIO_WEBHOOK_SIGNING_KEYS",
    ),
    SignatureFault.NOT_EXAMINED: FaultWords(
        "has a wrong signature and was not examined, because its body is too large or others were "
        "examined in the same second",
        _EXPLAIN,
    ),
    SignatureFault.UNKNOWN: FaultWords(
        "has a signature that fits no active key, and no usual mistake explains it",
        "compare the key with the page Reporting Webhooks in Customer.io; look for a proxy in "
        f"front that changes bodies; {_EXPLAIN}. If all is right there, a stranger sent it",
    ),
}
"""One entry for each fault."""


def problems(faults: Iterable[SignatureFault]) -> list[str]:
    """Return what `/readyz` says about faults, each with its fix."""
    return [
        f"a request {'' if one in PROVEN else 'probably '}{WORDS[one].means}: {WORDS[one].fix}"
        for one in faults
    ]
