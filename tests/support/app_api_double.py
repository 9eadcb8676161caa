"""An App API that holds every call against the inventory, and answers in the shape it names."""

from __future__ import annotations

import json
import re
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from core.app_api.inventory import Fields, OperationEntry, entries
from tests.support.vendor_server import Call, Reply

SAMPLES: dict[str, Any] = {
    "string": "word",
    "integer": 7,
    "number": 1.5,
    "boolean": True,
    "object": {"a_field": "kept"},
    "array": ["one"],
    "array<string>": ["one"],
    "array<integer>": [1],
    "array<object>": [{"n": 1}],
    "integer|string": 7,
    "integer|null": 7,
    "string|null": "word",
}
UNKNOWN = {"added_by_the_vendor": "today"}
IMAGE = b"\x89PNG"


class AppApiDouble:
    """A script for a `VendorServer`.

    Attributes:
        faults: What was wrong with the calls; empty if they were as the inventory has them.
        seen: The operation of each call.
        queries: The query of each call.
        pages: How many pages of items a paged operation has.
    """

    def __init__(self, pages: int = 1) -> None:
        self.faults: list[str] = []
        self.seen: list[str] = []
        self.queries: list[dict[str, str]] = []
        self.pages = pages
        self._entries = [
            (re.compile(re.sub(r"\{\w+\}", "([^/]+)", entry["path"])), entry)
            for entry in sorted(entries().values(), key=lambda entry: entry["path"].count("{"))
        ]

    def __call__(self, call: Call) -> Reply:
        """Check a call, and answer it."""
        parts = urlsplit(call.target)
        for pattern, entry in self._entries:
            found = pattern.fullmatch(parts.path)
            if found and entry["method"] == call.method:
                break
        else:
            self.faults.append(f"no such operation: {call.method} {parts.path}")
            return Reply(404)
        query = dict(parse_qsl(parts.query, keep_blank_values=True))
        self.seen.append(entry["id"])
        self.queries.append(query)
        ids = [unquote(one) for one in found.groups()]
        self.faults += [f"{entry['id']}: {fault}" for fault in _faults(entry, ids, query, call)]
        return self._reply(entry, query)

    def _reply(self, entry: OperationEntry, query: dict[str, str]) -> Reply:
        if entry.get("answer_type"):
            return Reply(200, IMAGE, {"content-type": "image/png"})
        if "answer" not in entry:
            return Reply(entry["status"], b"")
        answer = {name: SAMPLES[kind] for name, kind in entry["answer"].items()}
        answer.pop("next", None)
        if "paging" in entry:
            answer |= self._page(entry, query)
        return Reply(entry["status"], json.dumps(answer | UNKNOWN).encode())

    def _page(self, entry: OperationEntry, query: dict[str, str]) -> dict[str, Any]:
        """A page of two items that say where they are; marks are words that need encoding."""
        paging = entry["paging"]
        at = query.get(paging["style"], "")
        number = {
            "offset": int(at or 0) // 2 if at.isdigit() else 0,
            "page": int(at or 1) - 1 if at.isdigit() else 0,
        }.get(paging["style"], int(at.split("=")[1]) if "=" in at else 0)
        items = [{"n": 2 * number + one} for one in (0, 1)]
        mark = f"a+b/&={number + 1}" if number + 1 < self.pages else ""
        if paging["style"] in ("offset", "page"):
            return {paging["items"]: items if number < self.pages else []}
        if paging["style"] == "cursor":
            return {paging["items"]: items, "meta": {"pagination": {"next_cursor": mark}}}
        return {paging["items"]: items, "next": mark}


def _faults(entry: OperationEntry, ids: list[str], query: dict[str, str], call: Call) -> list[str]:
    faults = []
    if call.headers.get("authorization") != "Bearer app_key":
        faults.append("no key")
    for (name, kind), value in zip(entry["path_params"].items(), ids, strict=True):
        faults += _misfit(name, kind, value, entry.get("path_words", {}).get(name))
    known = entry.get("query", {})
    faults += [f"unknown query {name}" for name in query.keys() - known.keys()]
    faults += [
        f"query {name} is missing"
        for name, rule in known.items()
        if rule.get("required") and name not in query
    ]
    for name in query.keys() & known.keys():
        faults += _misfit(name, known[name]["type"], query[name], known[name].get("allowed"))
    return faults + _body_faults(entry, call)


def _misfit(name: str, kind: str, value: str, allowed: list[str] | None) -> list[str]:
    fits = {"integer": value.isdigit(), "boolean": value in ("true", "false"), "string": value}
    if allowed and value not in allowed:
        return [f"{name} is none of its words"]
    return [] if fits[kind] else [f"{name} is no {kind}"]


def _body_faults(entry: OperationEntry, call: Call) -> list[str]:
    if "body" not in entry:
        return ["a body where none belongs"] if call.body else []
    kind = entry["body"]["content_type"]
    if call.headers.get("content-type", "").partition(";")[0] != kind:
        return [f"the content type is not {kind}"]
    given = _form(call) if kind.startswith("multipart") else call.json
    variants: list[Fields] = entry["body"].get("variants") or [entry["body"]]
    if isinstance(given, list) or not any(v.get("required") for v in variants):
        return []
    missing = [v.get("required", {}).keys() - given.keys() for v in variants]
    return [] if any(not names for names in missing) else [f"the body lacks {missing[0]}"]


def _form(call: Call) -> dict[str, bytes]:
    head = f"content-type: {call.headers['content-type']}\r\n\r\n".encode()
    message = BytesParser(EmailMessage).parsebytes(head + call.body)
    return {
        str(part.get_param("name", header="content-disposition")): part.get_payload(decode=True)
        for part in message.get_payload()
    }
