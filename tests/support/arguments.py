"""Arguments for any method of any noun, made from its signature and the inventory."""

from __future__ import annotations

import inspect
import sys
from typing import Any

from core.app_api.index import Method
from core.app_api.inventory import OperationEntry, Parameter
from core.app_api.noun import File
from tests.support.app_api_double import SAMPLES


def query_names(method: Method, entry: OperationEntry) -> set[str]:
    """Name the query parameters that a method takes, as the vendor spells them."""
    others = {"self", "body", "file", *entry["path_params"]}
    fields = {
        **entry.get("body", {}).get("required", {}),
        **entry.get("body", {}).get("optional", {}),
    }
    if "file" in inspect.signature(method.function).parameters:
        others |= fields.keys()
    return {name.removesuffix("_") for name in _names(method)} - others


def _names(method: Method) -> list[str]:
    names = []
    for name, parameter in inspect.signature(method.function).parameters.items():
        if parameter.kind is parameter.VAR_KEYWORD:
            kind = parameter.annotation.removeprefix("Unpack[").removesuffix("]")
            names += list(getattr(sys.modules[method.function.__module__], kind).__annotations__)
        else:
            names.append(name)
    return names


def arguments(method: Method, entry: OperationEntry, *, everything: bool) -> dict[str, Any]:
    """Make arguments for a call: all that the inventory names, or what it requires."""
    parameters = inspect.signature(method.function).parameters
    made: dict[str, Any] = {}
    for name, kind in entry["path_params"].items():
        made[_spelled(name, parameters)] = entry.get("path_words", {}).get(name, [SAMPLES[kind]])[0]
    for name, rule in entry.get("query", {}).items():
        if everything or rule.get("required"):
            made[_spelled(name, parameters)] = _value(rule)
    if "file" in parameters:
        made["file"] = File("a.png", b"bytes", "image/png")
    elif "body" in entry:
        made["body"] = _body(entry)
    return made


def _spelled(name: str, parameters: Any) -> str:
    return f"{name}_" if f"{name}_" in parameters else name


def _value(rule: Parameter) -> Any:
    return rule["allowed"][0] if "allowed" in rule else SAMPLES[rule["type"]]


def _body(entry: OperationEntry) -> dict[str, Any]:
    body = entry["body"]
    fields = (body.get("variants") or [body])[0]
    return {name: SAMPLES[kind] for name, kind in fields.get("required", {}).items()}
