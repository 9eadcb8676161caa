"""The path of the webhook route: every spelling of it, and nothing else."""

from __future__ import annotations

from urllib.parse import unquote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from databricks_app.endpoint import WEBHOOK_PATH, is_webhook_path
from tests.support.spellings import OTHERS, SPELLINGS, spellings


@pytest.mark.parametrize("target", [WEBHOOK_PATH, *SPELLINGS])
def test_is_webhook_path_takes_a_spelling(target: str) -> None:
    """Slashes, upper case and encoding make no other path."""
    assert is_webhook_path(unquote(target))


@pytest.mark.parametrize("target", ["", *OTHERS])
def test_is_webhook_path_refuses_another_path(target: str) -> None:
    """Dot segments, parameters, white space and what was encoded twice are not resolved."""
    assert not is_webhook_path(unquote(target))


@given(target=spellings())
def test_is_webhook_path_takes_every_spelling(target: str) -> None:
    """However slashes, cases and encoding are mixed."""
    assert is_webhook_path(unquote(target))


@given(
    target=spellings(),
    place=st.floats(0, 1),
    added=st.characters(exclude_characters="/") | st.sampled_from(".;\\ %?#"),
)
def test_one_more_character_is_another_path(target: str, place: float, added: str) -> None:
    """Any but a slash, anywhere."""
    path = unquote(target)
    at = round(place * len(path))

    assert not is_webhook_path(path[:at] + added + path[at:])


@given(path=st.text(alphabet="/apiwebhookscustomerAPI.;%", max_size=40))
def test_another_path_is_not_ours_by_accident(path: str) -> None:
    """Only letters of the path in their order are it, cut at its own slashes."""
    if is_webhook_path(path):
        words = [word for word in path.split("/") if word]
        assert [word.lower() for word in words] == ["api", "webhooks", "customerio"]
