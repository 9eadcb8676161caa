"""Every operation of the inventory has one method, and every method is as the inventory says.

A test covers all methods: it collects what is wrong by method, and compares with nothing wrong.
"""

from __future__ import annotations

import inspect
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from core.app_api import AppClient, index, inventory
from core.app_api.declarations import RATES
from core.app_api.paging import Pages, Paging
from core.errors import ValidationError
from core.http.exchange import Operation
from tests.support.app_api_double import IMAGE, UNKNOWN, AppApiDouble
from tests.support.arguments import arguments, query_names

ENTRIES = inventory.entries()
METHODS = index.methods()
PAGED = [method for method in METHODS if "paging" in ENTRIES.get(method.operation, {})]
DESIGN_STUDIO = "design-studio-emails"
PAGE = re.compile(r"https://docs\.customer\.io/integrations/api/[\w-]+/tag/[\w-]+/(\w+/)?")


def failures(
    methods: Iterable[index.Method], check: Callable[[index.Method], object]
) -> dict[str, str]:
    """Check each method; return the names of those that failed, with the reason."""
    found = {}
    for method in methods:
        try:
            check(method)
        except (Exception, pytest.fail.Exception) as error:  # noqa: BLE001  # shown all together
            found[f"{method.noun}.{method.name}"] = f"{type(error).__name__}: {error}"
    return found


def call(client: AppClient, method: index.Method, *, with_optional: bool) -> Any:
    """Call a method; if it returns a list in pages, return all its items."""
    entry = ENTRIES[method.operation]
    bound = getattr(getattr(client, method.noun), method.name)
    result = bound(**arguments(method, entry, everything=with_optional))
    return list(result) if isinstance(result, Pages) else result


def declared(kind: type[Any]) -> dict[str, Any]:
    """Find the declarations of a type in the modules of the nouns, by module and constant."""
    return {
        f"{noun}.{name}": value
        for noun, owner in index.nouns().items()
        for name, value in vars(inspect.getmodule(owner)).items()
        if isinstance(value, kind)
    }


def test_operations_and_methods_are_the_same_set() -> None:
    """Each operation has exactly one method, and each method exactly one operation."""
    counts = Counter(method.operation for method in METHODS)

    assert set(ENTRIES) == set(counts)
    assert {name for name, count in counts.items() if count > 1} == set()


def test_methods_belong_to_the_noun_of_their_operation() -> None:
    """The inventory names the noun of each operation."""
    nouns = {method.operation: method.noun for method in METHODS}

    assert {name: entry["noun"] for name, entry in ENTRIES.items()} == nouns


def test_docstrings_name_the_vendors_page() -> None:
    """The page of the operation; where only the page of its tag is known, that page."""

    def check(method: index.Method) -> None:
        (page,) = re.findall(r"^Page: (\S+)$", inspect.getdoc(method.function) or "", re.MULTILINE)
        assert PAGE.fullmatch(page), page
        assert page.split("/")[-2].lower() in {method.operation.lower(), "assets", DESIGN_STUDIO}

    assert failures(METHODS, check) == {}


def test_inventory_is_complete() -> None:
    """189 operations are known; one has no method, because its path is unknown."""
    assert len(ENTRIES) == 188
    assert [one["id"] for one in inventory.left_out()] == ["testSendEmail"]


def test_declared_operations_are_as_in_the_inventory() -> None:
    """HTTP method, path, rate class, and whether the operation may be repeated."""
    expected = {
        entry["id"]: Operation(
            entry["id"],
            entry["method"],
            entry["path"],
            is_repeatable=entry["method"] != "POST" or entry.get("repeatable", False),
            rate=entry.get("rate", "default"),
        )
        for entry in ENTRIES.values()
    }
    operations = list(declared(Operation).values())

    wrong = [operation for operation in operations if expected[operation.name] != operation]

    assert wrong == []
    assert {operation.name for operation in operations} == set(expected)
    assert {operation.rate for operation in operations} <= set(RATES)


def test_methods_take_every_query_parameter_by_its_name() -> None:
    """No parameter is missing, and none is invented."""

    def check(method: index.Method) -> None:
        entry = ENTRIES[method.operation]
        assert set(entry.get("query", {})) == query_names(method, entry)

    assert failures(METHODS, check) == {}


def test_methods_take_ids_first_and_then_the_body() -> None:
    """Ids are positional in the order of the path, then the body; all else is by name."""

    def check(method: index.Method) -> None:
        entry = ENTRIES[method.operation]
        positional = [
            name.removesuffix("_")
            for name, one in inspect.signature(method.function).parameters.items()
            if one.kind is one.POSITIONAL_OR_KEYWORD
        ]
        body = [name for name in ("body", "file") if name in positional]
        assert ["self", *entry["path_params"], *body] == positional
        assert ("body" in entry) == bool(body)

    assert failures(METHODS, check) == {}


@pytest.mark.parametrize("with_optional", [True, False], ids=["all arguments", "required only"])
def test_calls_arrive_as_in_the_inventory(
    with_optional: bool, app: AppClient, double: AppApiDouble
) -> None:
    """HTTP method, path, query, body and content type at the server, and the complete answer."""

    def check(method: index.Method) -> None:
        double.faults.clear()
        double.seen.clear()
        entry = ENTRIES[method.operation]

        result = call(app, method, with_optional=with_optional)

        assert double.faults == []
        assert {entry["id"]} == set(double.seen)
        if "paging" in entry:
            assert result == [{"n": 0}, {"n": 1}] or with_optional
        elif entry.get("answer_type"):
            assert result == IMAGE
        elif "answer" in entry:
            assert {*entry["answer"], *UNKNOWN} - {"next"} == set(result)
        else:
            assert result is None

    assert failures(METHODS, check) == {}


def test_paged_lists_return_all_pages(app: AppClient, double: AppApiDouble) -> None:
    """Three pages give their items in order, in each paging style."""
    double.pages = 3
    items = [{"n": number} for number in range(6)]

    results = {method.operation: call(app, method, with_optional=False) for method in PAGED}

    assert {name: result for name, result in results.items() if result != items} == {}
    assert double.faults == []


def test_paged_lists_refuse_a_limit_over_the_maximum(app: AppClient) -> None:
    """The vendor would return fewer items without an error."""

    def check(method: index.Method) -> None:
        entry = ENTRIES[method.operation]
        required = arguments(method, entry, everything=False)
        maximum = entry["paging"].get("max_limit")
        bound = getattr(getattr(app, method.noun), method.name)
        if maximum is None:
            assert "max" not in entry.get("query", {}).get("limit", {})
        else:
            assert isinstance(bound(**required, limit=maximum), Pages)
            with pytest.raises(ValidationError, match=rf"limit.*{maximum}"):
                bound(**required, limit=maximum + 1)

    assert failures(PAGED, check) == {}


def test_paging_is_declared_as_in_the_inventory() -> None:
    """Style, key of the items, and maximum of each operation in pages."""
    expected = {
        (one["paging"]["style"], one["paging"]["items"], one["paging"].get("max_limit"))
        for one in ENTRIES.values()
        if "paging" in one
    }

    used = {(one.style, one.items, one.max_limit) for one in declared(Paging).values()}

    assert expected == used


def test_docstrings_name_what_is_uncertain() -> None:
    """Who calls an operation reads which part of it no documentation proves."""
    silent = [
        method.operation
        for method in METHODS
        if "uncertain" in ENTRIES.get(method.operation, {})
        and "Uncertain:" not in (inspect.getdoc(method.function) or "")
    ]

    assert silent == []


def test_index_is_up_to_date() -> None:
    """The README is what `python -m core.app_api.index` writes."""
    assert index.text() == index.README.read_text(encoding="utf-8")
