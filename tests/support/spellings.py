"""Spellings of the webhook's path as they stand in a request line, and other paths. No tests."""

from __future__ import annotations

from hypothesis import strategies as st

SPELLINGS = (
    "/api/webhooks/customerio/",
    "//api/webhooks/customerio",
    "//api///webhooks//customerio//",
    "/API/Webhooks/CustomerIO",
    "/%61pi/webhooks/customeri%6F",
    "/api%2Fwebhooks%2fcustomerio",
    "/%2Fapi/webhooks/customerio%2F/",
)
OTHERS = (
    "/",
    "//",
    "/api/webhooks",
    "/apiwebhooks/customerio",
    "/a/pi/webhooks/customerio",
    "/xapi/webhooks/customerio",
    "/x/api/webhooks/customerio",
    "/api/webhooks/customeriox",
    "/api/webhooks/customerio/x",
    "/api/./webhooks/customerio",
    "/api/webhooks/customerio/.",
    "/x/../api/webhooks/customerio",
    "/api/webhooks/%2e%2e/webhooks/customerio",
    "/api/webhooks/customerio;v=1",
    "/api;v=1/webhooks/customerio",
    "/api/webhooks/customerio%3Fa=b",
    "/api/webhooks/customerio%20",
    "/api/webhooks/customerio%00",
    "/api%5Cwebhooks%5Ccustomerio",
    "/%2561pi/webhooks/customerio",
    "/api%252Fwebhooks/customerio",
    "/api/webhoo%E2%84%AAs/customerio",  # the Kelvin sign, a k in lower case
)


def _spelled(letter: str) -> st.SearchStrategy[str]:
    """A letter of the path in either case, perhaps encoded."""
    cases = (letter.lower(), letter.upper())
    return st.sampled_from(
        [*cases * 3, *(f"%{ord(one):02X}" for one in cases), *(f"%{ord(one):02x}" for one in cases)]
    )


_SLASHES = st.lists(st.sampled_from(("/", "/", "%2F", "%2f")), min_size=1, max_size=3).map("".join)
_WORDS = [
    st.tuples(*map(_spelled, word)).map("".join) for word in ("api", "webhooks", "customerio")
]


@st.composite
def spellings(draw: st.DrawFn) -> str:
    """A random spelling of the path; it begins with a slash, as every request line's does."""
    inner = "".join(draw(_SLASHES) + draw(word) for word in _WORDS)
    return "/" + inner.removeprefix("/") + draw(st.just("") | _SLASHES)
