"""Every operation of the inventory has one method, and every method is as the inventory says."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from typing import Any

import pytest

from core.app_api import AppClient, index, inventory
from core.app_api.declarations import RATES
from core.app_api.paging import Pages, Paging
from core.http.exchange import Operation
from tests.support.app_api_double import IMAGE, UNKNOWN, AppApiDouble
from tests.support.arguments import arguments, query_names

ENTRIES = inventory.entries()
METHODS = index.methods()
BY_OPERATION = {method.operation: method for method in METHODS}
EACH_METHOD = pytest.mark.parametrize(
    "method", METHODS, ids=[f"{one.noun}.{one.name}" for one in METHODS]
)
DESIGN_STUDIO = "design-studio-emails"
PAGE = re.compile(r"https://docs\.customer\.io/integrations/api/[\w-]+/tag/[\w-]+/(\w+/)?")
PAGED = [one for one in METHODS if "paging" in ENTRIES.get(one.operation, {})]


def call(client: AppClient, method: index.Method, *, everything: bool) -> Any:
    """Call a method, and walk its list to the end if it gives one."""
    entry = ENTRIES[method.operation]
    bound = getattr(getattr(client, method.noun), method.name)
    result = bound(**arguments(method, entry, everything=everything))
    return list(result) if isinstance(result, Pages) else result


def declared(kind: type[Any]) -> dict[str, Any]:
    """Find what the modules of the nouns declare of a kind, by module and constant."""
    return {
        f"{noun}.{name}": value
        for noun, owner in index.nouns().items()
        for name, value in vars(inspect.getmodule(owner)).items()
        if isinstance(value, kind)
    }


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=list(ENTRIES))
def test_every_operation_has_a_method_of_its_noun(entry: inventory.OperationEntry) -> None:
    """No operation is forgotten, and a noun that is begun is complete."""
    method = BY_OPERATION.get(entry["id"])

    assert method is not None
    assert entry["noun"] == method.noun


def test_every_method_names_one_operation_of_its_own() -> None:
    """No method is fictional, and no two are the same."""
    counts = Counter(method.operation for method in METHODS)

    assert set() == counts.keys() - ENTRIES.keys()
    assert set() == {name for name, count in counts.items() if count > 1}


@EACH_METHOD
def test_every_docstring_names_the_vendors_page(method: index.Method) -> None:
    """The page of the operation, or of its tag where only that one is known."""
    (page,) = re.findall(r"^Page: (\S+)$", inspect.getdoc(method.function) or "", re.MULTILINE)

    assert PAGE.fullmatch(page), page
    assert page.split("/")[-2].lower() in {method.operation.lower(), "assets", DESIGN_STUDIO}


def test_inventory_and_what_is_left_out_are_all_that_is_known() -> None:
    """189 operations are known; the one without a proven path is left out by name."""
    assert len(ENTRIES) == 188
    assert [one["id"] for one in inventory.left_out()] == ["testSendEmail"]


@pytest.mark.parametrize("name", declared(Operation))
def test_declared_operations_are_the_inventorys(name: str) -> None:
    """Verb, path, rate class and what may be repeated are as the inventory has them."""
    operation = declared(Operation)[name]
    entry = ENTRIES[operation.name]

    expected = Operation(
        entry["id"],
        entry["method"],
        entry["path"],
        is_repeatable=entry["method"] != "POST" or entry.get("repeatable", False),
        rate=entry.get("rate", "default"),
    )
    assert expected == operation
    assert operation.rate in RATES


@EACH_METHOD
def test_methods_take_every_query_parameter_by_its_name(method: index.Method) -> None:
    """None is missing, none is made up."""
    entry = ENTRIES[method.operation]

    assert set(entry.get("query", {})) == query_names(method, entry)


@EACH_METHOD
def test_methods_take_ids_first_and_then_the_body(method: index.Method) -> None:
    """Ids of the path stand in its order, all else goes by name."""
    entry = ENTRIES[method.operation]
    positional = [
        name.removesuffix("_")
        for name, one in inspect.signature(method.function).parameters.items()
        if one.kind is one.POSITIONAL_OR_KEYWORD
    ]

    last = [name for name in ("body", "file") if name in positional]
    assert ["self", *entry["path_params"], *last] == positional
    assert ("body" in entry) == bool(last)


@EACH_METHOD
@pytest.mark.parametrize("everything", [True, False], ids=["everything", "required"])
def test_calls_arrive_as_the_inventory_has_them(
    method: index.Method, everything: bool, app: AppClient, double: AppApiDouble
) -> None:
    """Verb, path, query, body and content type are right on the socket, and the answer is whole."""
    entry = ENTRIES[method.operation]

    result = call(app, method, everything=everything)

    assert double.faults == []
    assert {entry["id"]} == set(double.seen)
    if "paging" in entry:
        assert result == [{"n": 0}, {"n": 1}] or everything
    elif entry.get("answer_type"):
        assert result == IMAGE
    elif "answer" in entry:
        assert {*entry["answer"], *UNKNOWN} - {"next"} == set(result)
    else:
        assert result is None


@pytest.mark.parametrize("method", PAGED, ids=[f"{one.noun}.{one.name}" for one in PAGED])
def test_paged_lists_walk_to_the_end(
    method: index.Method, app: AppClient, double: AppApiDouble
) -> None:
    """Three pages give their items in order, whichever way the operation pages."""
    double.pages = 3

    assert [{"n": number} for number in range(6)] == call(app, method, everything=False)
    assert double.faults == []


@pytest.mark.parametrize("method", PAGED, ids=[f"{one.noun}.{one.name}" for one in PAGED])
def test_paged_lists_know_their_own_limit(method: index.Method, app: AppClient) -> None:
    """What the vendor would cut in silence is refused, where its maximum is known."""
    entry = ENTRIES[method.operation]
    made = arguments(method, entry, everything=False)
    most = entry["paging"].get("max_limit")
    walk = getattr(getattr(app, method.noun), method.name)

    if most is None:
        assert "max" not in entry.get("query", {}).get("limit", {})
    else:
        assert isinstance(walk(**made, limit=most), Pages)
        with pytest.raises(ValueError, match=f"limit: must be at most {most}"):
            walk(**made, limit=most + 1)


def test_paging_is_declared_for_each_operation_that_pages() -> None:
    """A list that comes whole is not walked, and one that pages is not cut to its first page."""
    expected = sorted(
        (one["paging"]["style"], one["paging"]["items"], one["paging"].get("max_limit", 0))
        for one in ENTRIES.values()
        if "paging" in one
    )
    used = [(one.style, one.items, one.max_limit or 0) for one in declared(Paging).values()]

    assert set(expected) == set(used)


@pytest.mark.parametrize(
    "method",
    [one for one in METHODS if "uncertain" in ENTRIES.get(one.operation, {})],
    ids=lambda one: f"{one.noun}.{one.name}",
)
def test_uncertain_operations_say_so(method: index.Method) -> None:
    """What no documentation proves is said where it is read."""
    assert "Uncertain:" in (inspect.getdoc(method.function) or "")


def test_index_is_up_to_date() -> None:
    """The README is what `python -m core.app_api.index` writes."""
    assert index.text() == index.README.read_text(encoding="utf-8")
