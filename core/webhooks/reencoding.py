"""Guess the bytes that a sender signed from the bytes that a proxy made of them. Pure.

A proxy that reads a body as text or JSON and writes it again keeps the content and changes the
bytes, so the signature no longer fits. The functions return the usual other forms of a body.
What is lost cannot be guessed: the order of keys, the spelling of numbers, removed fields.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# The forms of a longer JSON text would need several times its size in memory.
_MOST_JSON_BYTES = 8 << 20
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s"{}\[\],:]+', re.DOTALL)
# After an item, after a key, and the indentation of a level; without one all is on one line.
_LAYOUTS = (
    (",", ":", ""),
    (", ", ": ", ""),
    (",", ": ", ""),
    (",", ": ", "  "),
    (",", ": ", "    "),
    (",", ": ", "\t"),
)
_HTML = str.maketrans({one: f"\\u{ord(one):04x}" for one in "<>&\u2028\u2029"})


def byte_forms(body: bytes) -> Iterator[bytes]:
    """Yield other forms of a body that need no parsing; about ten, none equal to the body.

    They are: line end added or removed at the end, white space removed at both ends, byte order
    mark added or removed, line ends of the other kind, UTF-8 read as Latin-1 and the opposite.
    """
    lines = body.replace(b"\r\n", b"\n")
    forms = [
        body.removesuffix(b"\n"),
        body.removesuffix(b"\r\n"),
        body.rstrip(b"\r\n"),
        body + b"\n",
        body + b"\r\n",
        body.strip(),
        body.removeprefix(_BYTE_ORDER_MARK),
        _BYTE_ORDER_MARK + body,
        lines,
        lines.replace(b"\n", b"\r\n"),
        body.decode("latin-1").encode(),
        _as_latin(body),
    ]
    yield from dict.fromkeys(form for form in forms if form != body)


def json_forms(body: bytes) -> Iterator[bytes]:
    """Yield other ways to write a JSON text, with other white space and other escapes.

    Numbers and the order of the keys stay as they are, but the last forms have sorted keys. None if
    the body is not JSON or is larger than 8 MiB.
    """
    if len(body) > _MOST_JSON_BYTES:
        return
    try:
        text = body.removeprefix(_BYTE_ORDER_MARK).decode()
        value = json.loads(text)
        tokens = _TOKEN.findall(text)
        unquoted = [json.loads(one, strict=False) if one[0] == '"' else one for one in tokens]
    except (ValueError, RecursionError):
        return
    for spell in (None, *_SPELLINGS):
        spelled = tokens
        if spell is not None:
            pairs = zip(tokens, unquoted, strict=True)
            spelled = [spell(content) if one[0] == '"' else one for one, content in pairs]
        for layout in _LAYOUTS:
            form = _laid_out(spelled, *layout).encode("utf-8", "surrogatepass")
            yield from (form, form + b"\n")
    for is_ascii in (False, True):
        for separators in ((",", ":"), (", ", ": ")):
            form = json.dumps(
                value, sort_keys=True, ensure_ascii=is_ascii, separators=separators
            ).encode("utf-8", "surrogatepass")
            yield from (form, form + b"\n")


def _as_latin(body: bytes) -> bytes:
    try:
        return body.decode().encode("latin-1")
    except UnicodeError:
        return body


def _plain(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _for_html(text: str) -> str:
    """Escape as Go and Ruby on Rails do."""
    return _plain(text).translate(_HTML)


def _plain_with_slashes(text: str) -> str:
    return _plain(text).replace("/", "\\/")


def _ascii_with_slashes(text: str) -> str:
    """Escape as PHP does."""
    return json.dumps(text).replace("/", "\\/")


_SPELLINGS: tuple[Callable[[str], str], ...] = (
    _plain,
    json.dumps,
    _for_html,
    _plain_with_slashes,
    _ascii_with_slashes,
)


def _laid_out(tokens: Iterable[str], after_item: str, after_key: str, indent: str) -> str:
    """Join the tokens of a JSON text with this white space."""
    pieces: list[str] = []
    depth = 0
    before = ""

    def new_line() -> None:
        if indent:
            pieces.append("\n" + indent * depth)

    for part in tokens:
        is_end = part in ("}", "]")
        depth -= is_end
        # An empty object or list has no line end in it.
        if (before in ("{", "[")) != is_end:
            new_line()
        if part == ",":
            pieces.append(after_item)
            new_line()
        else:
            pieces.append(after_key if part == ":" else part)
        depth += part in ("{", "[")
        before = part
    return "".join(pieces)
