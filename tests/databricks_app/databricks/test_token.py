"""OAuth tokens: renewed early, replaced when refused, with errors that say what to do."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest

from databricks_app.databricks.token import Token, Tokens, is_about_token
from databricks_app.errors import TokenError

LONG = 10.0


class Source:
    """Returns prepared tokens in order; the last one again and again."""

    def __init__(self, *answers: Token | TokenError) -> None:
        self.answers = list(answers)
        self.asked = threading.Semaphore(0)

    def __call__(self) -> Token:
        """The next token."""
        self.asked.release()
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if isinstance(answer, TokenError):
            raise answer
        return answer


@pytest.fixture
def begun() -> Iterator[Callable[[Source], Tokens]]:
    """Starts `Tokens`, and closes them all at the end."""
    made: list[Tokens] = []

    def begin(source: Source) -> Tokens:
        made.append(Tokens(source))
        made[-1].begin()
        return made[-1]

    yield begin
    for one in made:
        one.close()


def test_get_waits_for_the_first_token(begun: Callable[[Source], Tokens]) -> None:
    """A request at the start is not refused."""
    tokens = begun(Source(Token("first")))

    assert tokens.get(LONG).text == "first"


def test_a_token_is_renewed_before_it_expires(begun: Callable[[Source], Tokens]) -> None:
    """Nobody waits: the old one is used until the new one is there."""
    source = Source(Token("old", refresh_at=0.0), Token("new"))
    tokens = begun(source)

    texts = {tokens.get(LONG).text}
    assert source.asked.acquire(timeout=LONG)
    assert source.asked.acquire(timeout=LONG)
    deadline = time.monotonic() + LONG
    while tokens.get(LONG).text != "new":
        assert time.monotonic() < deadline

    assert texts <= {"old", "new"}


def test_a_failed_renewal_keeps_the_valid_token(begun: Callable[[Source], Tokens]) -> None:
    """It is valid for ten more minutes."""
    source = Source(Token("good", refresh_at=0.0), TokenError("not now"))
    tokens = begun(source)

    assert source.asked.acquire(timeout=LONG)
    assert source.asked.acquire(timeout=LONG)

    assert tokens.get(LONG).text == "good"


def test_an_expired_token_is_never_returned(begun: Callable[[Source], Tokens]) -> None:
    """The error says why there is no new one."""
    tokens = begun(Source(Token("over", 0.0, 0.0), TokenError("check the secret")))

    with pytest.raises(TokenError, match="check the secret"):
        tokens.get(LONG)


def test_a_refused_token_is_replaced(begun: Callable[[Source], Tokens]) -> None:
    """Tokens can be revoked before they expire."""
    tokens = begun(Source(Token("revoked"), Token("better")))

    tokens.refuse(tokens.get(LONG))

    assert tokens.get(LONG).text == "better"


def test_a_second_refusal_soon_after_the_first_fetches_no_token(
    begun: Callable[[Source], Tokens],
) -> None:
    """If a new token is refused too, the token is not the cause."""
    source = Source(Token("first"), Token("second"), Token("third"))
    tokens = begun(source)
    first = tokens.get(LONG)

    assert tokens.refuse(first)
    assert tokens.refuse(first)  # another request, which was refused at the same time
    second = tokens.get(LONG)
    assert not tokens.refuse(second)

    assert tokens.get(LONG) is second


def test_a_403_without_token_words_renews_the_token_once_a_minute() -> None:
    """It is normally a missing permission, but the platform also refuses tokens so."""
    now = [0.0]
    tokens = Tokens(Source(*(Token(name) for name in "abc")), clock=lambda: now[0])
    tokens.begin()
    first = tokens.get(LONG)

    assert tokens.refuse_after(first, 403, "PERMISSION_DENIED")
    second = tokens.get(LONG, other_than=first)
    now[0] = 59.0
    assert not tokens.refuse_after(second, 403, "PERMISSION_DENIED")
    now[0] = 61.0
    assert tokens.refuse_after(second, 403, "PERMISSION_DENIED")
    third = tokens.get(LONG, other_than=second)
    tokens.close()

    assert [first.text, second.text, third.text] == ["a", "b", "c"]


def test_a_token_that_may_be_refused_is_kept_if_there_is_no_new_one(
    begun: Callable[[Source], Tokens],
) -> None:
    """Other calls go on with it."""
    tokens = begun(Source(Token("good"), TokenError("not now")))
    good = tokens.get(LONG)

    assert tokens.refuse(good, is_certain=False)

    assert tokens.get(LONG, other_than=good) is good


# What the platform answers, and whether it is about the token.
ANSWERS = [
    (401, "", True),
    (403, "Invalid access token. [ReqId: 1]", True),
    (403, "Invalid Token", True),
    (403, "Token is expiring within 30 seconds", True),
    (403, "The access token has expired: expired access token", True),
    (403, "User does not have READ VOLUME on Volume 'main.cio.token_is'", False),
    (403, "", False),
    (404, "Invalid access token", False),
]


@pytest.mark.parametrize(("status", "text", "expected"), ANSWERS)
def test_is_about_token_reads_status_and_words(status: int, text: str, expected: bool) -> None:
    """One rule for all clients of a workspace."""
    assert is_about_token(status, text) is expected


def test_a_token_that_cannot_be_renewed_is_not_replaced() -> None:
    """For example a personal token."""
    tokens = Tokens(Source(Token("only")), is_renewable=False)
    tokens.begin()

    assert not tokens.refuse(tokens.get(LONG))
    tokens.close()


def test_a_failed_fetch_is_repeated(begun: Callable[[Source], Tokens]) -> None:
    """After a pause."""
    source = Source(TokenError("not yet"), Token("at last"))
    tokens = begun(source)

    assert source.asked.acquire(timeout=LONG)
    assert source.asked.acquire(timeout=LONG)

    deadline = time.monotonic() + LONG
    while True:
        try:
            assert tokens.get(LONG).text == "at last"
            break
        except TokenError:
            assert time.monotonic() < deadline


def test_get_waits_only_as_long_as_asked() -> None:
    """Then it raises an error."""
    tokens = Tokens(Source(Token("never asked")))

    with pytest.raises(TokenError, match="has not given us a token"):
        tokens.get(0.01)


def test_a_token_is_not_shown() -> None:
    """Not in a log and not in an error."""
    assert "secret" not in repr(Token("secret"))


@pytest.mark.parametrize(("seconds", "early"), [(3600.0, 600.0), (600.0, 300.0)])
def test_a_token_is_renewed_ten_minutes_early(seconds: float, early: float) -> None:
    """A token with a short life at half of it."""
    token = Token.lasting("text", seconds, 1000.0)

    assert token.refresh_at == 1000.0 + seconds - early
    assert token.ends_at == 1000.0 + seconds
