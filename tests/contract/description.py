"""The API's description, read strictly."""

from __future__ import annotations

import copy
from typing import Any

from jsonschema import Draft202012Validator


def closed(document: dict[str, Any]) -> dict[str, Any]:
    """Clients are told to ignore members they do not know; here no member of an answer may go undocumented."""
    strict = copy.deepcopy(document)

    def close(node: Any) -> None:
        if isinstance(node, dict):
            if node.get("type") == "object" and "properties" in node:
                node.setdefault("additionalProperties", False)
            for child in node.values():
                close(child)
        elif isinstance(node, list):
            for child in node:
                close(child)

    close(strict["components"]["schemas"])
    return strict


def faults(document: dict[str, Any], schema: str, body: Any) -> list[str]:
    """Where `body` is not what the document's `schema` says."""
    whole = {"$ref": f"#/components/schemas/{schema}", "components": document["components"]}
    return [f"{fault.json_path}: {fault.message}" for fault in Draft202012Validator(whole).iter_errors(body)]
