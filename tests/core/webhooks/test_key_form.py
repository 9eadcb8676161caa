"""A text that cannot be a signing key is recognised, and never shown."""

from __future__ import annotations

import pytest

from core.webhooks.key_form import fault_of_key

KEY = "755781b5e03a973f3405a85474d5a032a60fd56fabaad66039b12eadd83955fa"

FAULTS = [
    (f'"{KEY}"', "quotation mark"),
    (f"'{KEY}'", "quotation mark"),
    (f"\u201c{KEY}\u201d", "quotation mark"),
    (f"{KEY}`", "quotation mark"),
    (f"\ufeff{KEY}", "byte order mark"),
    (f"\u00ef\u00bb\u00bf{KEY}", "byte order mark"),
    (f"{KEY}\u200b", "zero-width"),
    (f"{KEY[:9]}\u200d{KEY[9:]}", "zero-width"),
    (f"{KEY}\ufeff", "zero-width"),
    (f"{KEY[:9]}\u00ad{KEY[9:]}", "zero-width"),
    (f"{KEY[:9]}\x00{KEY[9:]}", "U+0000"),
    (f"{KEY[:9]}\n{KEY[9:]}", "U+000A"),
    (f"{KEY[:9]}\u00a0{KEY[9:]}", "NO-BREAK SPACE"),
    (f"{KEY[:9]}\u202e{KEY[9:]}", "RIGHT-TO-LEFT"),
    (KEY[:32], "App API"),
    (KEY[:20], "Track API"),
    (f"sk_us_{KEY}", "API key"),
    (f"pk_eu_{KEY}", "API key"),
    (f"sa_live_{KEY}", "service account"),
]


@pytest.mark.parametrize(("text", "words"), FAULTS)
def test_a_text_that_cannot_be_a_key_is_named(text: str, words: str) -> None:
    """The reason says what is wrong, without the text."""
    fault = fault_of_key(text)

    assert fault is not None
    assert words in fault
    assert KEY[:9] not in fault


@pytest.mark.parametrize(
    "text", [KEY, KEY.upper(), f" {KEY}\n", "dev_" + KEY[:32], "test_signing_key", "schlüssel", "k"]
)
def test_any_other_text_may_be_a_key(text: str) -> None:
    """The vendor does not document the form."""
    assert fault_of_key(text) is None
