"""What an unexpected answer to a signed event means, and what to do about it. Pure."""

from __future__ import annotations

from core.webhooks.sender import NoAnswer, PostResponse
from core.webhooks.signature import SigningKey

_NO_ANSWER = {
    "refused": "the connection was refused: no server listens there. Start the receiver (`ciolake"
    " serve`), and allow it in the firewall.",
    "timed_out": "no answer in time; Customer.io waits 4 s. Find out what is slow or hangs: the"
    " network, the receiver's workers (its log), or its disk (/readyz).",
    "unknown_host": "this host name does not exist. Correct the endpoint, or its DNS entry.",
    "tls": "the TLS connection failed. The server needs a certificate that public clients trust,"
    " with the complete chain.",
    "reset": "the connection was closed before an answer came. See the log of the proxy in front of"
    " the receiver.",
    "unreachable": "there is no network route to it. Check the address and the firewall.",
}
_STATUS = {
    401: "the receiver does not have this signing key{key}, or its clock is wrong. Add the key to"
    " CIO_WEBHOOK_SIGNING_KEYS of the receiver, and make it read its settings again"
    " (`ciolake reload`, or deploy it again).",
    404: "this path does not exist. The path of the receiver is /api/webhooks/customerio.",
    405: "this path does not accept POST. The path of the receiver is /api/webhooks/customerio.",
    413: "the body is larger than eight times CIO_MAX_BODY_BYTES.",
    503: "the receiver cannot store events now: it has no signing key, its inbox is full or slow,"
    " or it is stopping. /readyz says which.",
}


def fault_of(outcome: PostResponse | NoAnswer, key: SigningKey | None = None) -> str | None:
    """Return what is wrong in one sentence, then what to do; None if the event was accepted.

    Args:
        outcome: The answer to a signed event, or why there is none.
        key: The key that signed it; the text names its fingerprint.
    """
    if isinstance(outcome, NoAnswer):
        return _NO_ANSWER[outcome.reason]
    status = outcome.status
    # The receiver answers without a body. An answer with one comes from a proxy or another server.
    start = outcome.text.lstrip().lower()
    if 300 <= status < 400:
        return (
            f"the answer is a redirect ({status}), which Customer.io may not follow. Use the final"
            " address. A Databricks App redirects callers without a token to its login page: use"
            " the relay (docs/deployment.md)."
        )
    if start.startswith(("<!doctype", "<html")) or "<form" in start:
        return (
            f"the answer is a web page ({status}), such as a login page, not the receiver's. Allow"
            " requests to the endpoint without a login. A Databricks App needs the relay"
            " (docs/deployment.md)."
        )
    if status == 200:
        return None
    if outcome.text and status in {401, 403}:
        return (
            f"a proxy or platform in front of the receiver refuses the request ({status}). Allow"
            " requests to the endpoint. A Databricks App needs the relay (docs/deployment.md)."
        )
    advice = _STATUS.get(
        status, "the receiver never answers this: see the proxy or platform in front of it."
    )
    fingerprint = f" (fingerprint {key.fingerprint})" if key is not None else ""
    return f"the answer is {status} instead of 200: {advice.format(key=fingerprint)}"
