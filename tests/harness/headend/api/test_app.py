from __future__ import annotations

from typing import Any

import pytest
from starlette.testclient import TestClient

PATHS = {
    "/health": {"get"},
    "/readings": {"get"},
    "/devices": {"get"},
    "/gaps": {"get"},
    "/status": {"get"},
    "/commands": {"get", "post"},
    "/commands/{id}": {"get"},
    "/alarms": {"get"},
    "/nodes": {"get"},
    "/export": {"get"},
    "/metrics": {"get"},
}


@pytest.fixture
def document(client: TestClient) -> dict[str, Any]:
    told: dict[str, Any] = client.get("/openapi.json").json()
    return told


def references(node: object) -> set[str]:
    if isinstance(node, dict):
        own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set()
        return own.union(*map(references, node.values()))
    return set().union(*map(references, node)) if isinstance(node, list) else set()


def test_every_operation_is_documented(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.")
    assert {path: set(item) for path, item in document["paths"].items()} == PATHS
    operations = [item for path in document["paths"].values() for item in path.values()]
    assert all(operation["description"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert references(document["paths"]) | references(document["components"]) <= known
    assert "#/components/schemas/HTTPValidationError" not in known


def test_all_but_health_say_that_they_want_the_token(document: dict[str, Any]) -> None:
    for path, item in document["paths"].items():
        for operation in item.values():
            assert bool(operation.get("security")) == (path != "/health")
            assert ("401" in operation["responses"]) == (path != "/health")
    assert document["components"]["securitySchemes"]["HTTPBearer"]["scheme"] == "bearer"


def test_times_are_documented_as_text(document: dict[str, Any]) -> None:
    parameters = {
        item["name"]: item for item in document["paths"]["/readings"]["get"]["parameters"]
    }
    assert parameters["meter"]["required"]
    assert parameters["from"]["schema"]["anyOf"][0]["type"] == "string"


def test_the_page_needs_nothing_from_elsewhere(client: TestClient) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    assert "<script" not in page.text
    assert "//" not in page.text.replace("<!doctype", "")
    for path in PATHS:
        assert path in page.text
