"""The documentation page: the OpenAPI document as one HTML page that loads nothing from anywhere.

FastAPI's own page loads scripts from a content delivery network: nothing that a laboratory without
Internet could show, nor that a token should be typed into.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from html import escape
from typing import Any, Final

_STYLE: Final = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}"
    "code{font-family:ui-monospace,monospace}table{border-collapse:collapse}"
    "td{border-top:1px solid #ccc;padding:.3rem 1rem .3rem 0;vertical-align:top}"
    "@media(prefers-color-scheme:dark){body{background:#111;color:#eee}a{color:#8cf}}"
)


def page(document: Mapping[str, Any]) -> str:
    """Return the page of an OpenAPI document."""
    title = escape(document["info"]["title"])
    operations = "".join(
        _operation(method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    )
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(document['info']['description'])}</p>"
        "<p>Send the token with every request but <code>/health</code>: "
        "<code>Authorization: Bearer TOKEN</code>. "
        'For programs: <a href="/openapi.json">openapi.json</a>.</p>'
        f"{operations}</html>"
    )


def _operation(method: str, path: str, operation: Mapping[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(name)}</code><td>{escape(text)}" for name, text in _rows(operation)
    )
    return (
        f"<h2><code>{escape(method.upper())} {escape(path)}</code></h2>"
        f"<p>{escape(operation.get('description', ''))}</p><table>{rows}</table>"
    )


def _rows(operation: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for parameter in operation.get("parameters", ()):
        needed = "required; " if parameter.get("required") else ""
        yield parameter["name"], needed + parameter.get("description", "")
    if "requestBody" in operation:
        schema = operation["requestBody"]["content"]["application/json"]["schema"]
        yield "body", f"JSON, {schema['$ref'].rpartition('/')[2]} in openapi.json"
    for status, response in operation["responses"].items():
        yield status, response["description"]
