"""What is wrong with the outcome of a signed post, and what to do. Pure."""

from __future__ import annotations

from core.webhooks.sender import NoAnswer, PostResponse
from core.webhooks.signature import SigningKey

_NO_ANSWER = {
    "refused": "nothing listens there. Start the receiver (`ciolake serve`), and open the firewall"
    " for it.",
    "timed_out": "no answer in time; Customer.io waits 4 s. See what is slow: the network, or the"
    " receiver's disk (/readyz).",
    "unknown_host": "the host's name is not known. Correct the endpoint, or its DNS entry.",
    "tls": "the TLS connection failed. Give it a certificate that public clients trust, with its"
    " whole chain.",
    "reset": "the connection broke before an answer came. See the log of what stands in front.",
    "unreachable": "the network does not reach it. Check the address and the firewall.",
}
_STATUS = {
    401: "the receiver does not know this key{key}, or its clock is wrong. Put the key into its"
    " CIO_WEBHOOK_SIGNING_KEYS, and let it read its settings again (SIGHUP, or deploy it again).",
    404: "nothing is at this path. The receiver's is /api/webhooks/customerio.",
    405: "this path takes no POST. The receiver's is /api/webhooks/customerio.",
    413: "the body is larger than eight times CIO_MAX_BODY_BYTES.",
    503: "the receiver cannot store now: it has no key yet, or its inbox is full or slow, or it is"
    " stopping. /readyz says which.",
}


def fault_of(outcome: PostResponse | NoAnswer, key: SigningKey | None = None) -> str | None:
    """What is wrong, and what to do in the sentences after it; None of 200 as it should be.

    A receiver of this project answers without a body. Where there is one, something in front of it
    has answered.

    Args:
        outcome: Of a post that was signed.
        key: What signed it, to be named by its fingerprint.
    """
    if isinstance(outcome, NoAnswer):
        return _NO_ANSWER[outcome.reason]
    status = outcome.status
    if 300 <= status < 400:
        return (
            f"it redirects ({status}), and Customer.io may not follow. Give the final address; a"
            " Databricks App sends callers without a token to its login: use the relay"
            " (docs/deployment.md)."
        )
    if _is_page(outcome.text):
        return (
            f"a web page answers ({status}), such as a login, not the receiver. Let requests to the"
            " endpoint pass without a login; a Databricks App needs the relay (docs/deployment.md)."
        )
    if status == 200:
        return None
    if outcome.text and status in {401, 403}:
        return (
            f"something in front of the receiver refuses ({status}). Let requests to the endpoint"
            " pass; a Databricks App needs the relay (docs/deployment.md)."
        )
    advice = _STATUS.get(status, "the receiver does not answer so: see what stands in front of it.")
    named = f" (fingerprint {key.fingerprint})" if key is not None else ""
    return f"it answers {status} instead of 200: {advice.format(key=named)}"


def _is_page(text: str) -> bool:
    start = text.lstrip().lower()
    return start.startswith(("<!doctype", "<html")) or "<form" in start
