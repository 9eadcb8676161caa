"""Recognise texts that cannot be a webhook signing key. Pure.

The example in Customer.io's documentation is 64 hex digits; other texts are accepted, because the
form is not documented. Refused are only texts that a mistake has changed, and keys of another kind.
The key of webhook actions cannot be recognised: nothing public shows another form of it.
Source: https://customer.io/docs/journeys/webhooks/#securely-verify-requests
"""

from __future__ import annotations

import re
import unicodedata

_QUOTES = frozenset("\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a")
_BYTE_ORDER_MARK = "\ufeff"
# What programs that read the bytes as Latin-1 make of the byte order mark.
_BYTE_ORDER_MARK_AS_LATIN = "\u00ef\u00bb\u00bf"
_ZERO_WIDTH = frozenset("\u200b\u200c\u200d\u2060\u180e\u00ad")

_OTHER_KEYS = (
    (re.compile(r"[0-9a-f]{32}", re.ASCII), "an App API key (32 hex digits)"),
    (re.compile(r"[0-9a-f]{20}", re.ASCII), "a Track API key or a site id (20 hex digits)"),
    (re.compile(r"[ps]k_(us|eu)_.*", re.ASCII), "an API key (it begins with sk_ or pk_)"),
    (re.compile(r"sa_(live|test)_.*", re.ASCII), "the token of a service account"),
)


def fault_of_key(text: str) -> str | None:
    """Return why a text cannot be a signing key; None if it can. The reason never shows the text.

    Args:
        text: The key; white space around it does not matter.
    """
    key = text.strip()
    if key.startswith((_BYTE_ORDER_MARK, _BYTE_ORDER_MARK_AS_LATIN)):
        return "begins with a byte order mark (BOM): save the file as UTF-8 without BOM"
    if any(one in _QUOTES for one in key):
        return "contains a quotation mark: paste the key without quotes"
    if any(one in _ZERO_WIDTH or one == _BYTE_ORDER_MARK for one in key):
        return "contains an invisible zero-width character: type the key, or copy it again"
    hidden = next((one for one in key if not one.isprintable()), None)
    if hidden is not None:
        kind = unicodedata.name(hidden, f"U+{ord(hidden):04X}")
        return f"contains a character that cannot be printed ({kind}): copy the key again"
    for form, kind in _OTHER_KEYS:
        if form.fullmatch(key):
            return (
                f"has the form of {kind}: copy the signing key from the page Reporting Webhooks in "
                "Customer.io"
            )
    return None
