"""What the documents of our APIs have in common."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import pytest
from fastapi import FastAPI
from starlette.testclient import TestClient

from harness.api.asking import ControlClient
from harness.bal.api.app import application as battery_layer
from harness.billing.api.app import application as billing
from harness.billing.service import BillingService
from harness.headend.api.app import application as head_end
from harness.headend.api.shards import HeadEnd
from tests.harness.api.conftest import TOKEN, small

# Their documents ask nothing of what stands behind them.
APIS: dict[str, Callable[[], FastAPI]] = {
    "small": lambda: small()[0],
    "head-end": lambda: head_end(cast("HeadEnd", None), TOKEN),
    "battery layer": lambda: battery_layer(ControlClient("layer", Path("nowhere.sock")), TOKEN),
    "billing": lambda: billing(cast("BillingService", None), TOKEN),
}


@pytest.fixture(params=APIS)
def app(request: pytest.FixtureRequest) -> FastAPI:
    """Each of our APIs."""
    return APIS[request.param]()


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_operation_is_documented(app: FastAPI) -> None:
    document = app.openapi()
    assert document["openapi"].startswith("3.")
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert len(operations) > 1
    assert all(operation["description"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_reference_leads_somewhere(app: FastAPI) -> None:
    document = app.openapi()
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    used = references(document["paths"]) | references(document["components"])
    assert "#/components/schemas/Problem" in used
    assert used <= known
    assert "#/components/schemas/HTTPValidationError" not in known


def test_all_but_health_say_that_they_want_the_token(app: FastAPI) -> None:
    document: dict[str, Any] = app.openapi()
    for path, item in document["paths"].items():
        for operation in item.values():
            assert bool(operation.get("security")) == (path != "/health")
            assert ("401" in operation["responses"]) == (path != "/health")
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_no_route_answers_without_the_token(app: FastAPI) -> None:
    client = TestClient(app)
    for path, item in app.openapi()["paths"].items():
        for method in item:
            status = client.request(method, path.format_map(_Any())).status_code
            assert status == (200 if path == "/health" else 401)


def test_the_page_needs_nothing_from_elsewhere(app: FastAPI) -> None:
    page = TestClient(app).get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "//" not in page.text.replace("<!doctype", "")
    for path in app.openapi()["paths"]:
        assert path in page.text


class _Any(dict[str, str]):
    """Something for every parameter of a path."""

    def __missing__(self, key: str) -> str:
        return "1"
