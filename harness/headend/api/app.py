"""The application: its routes, who may use them, and their documentation."""

from __future__ import annotations

from typing import Any, Final

from fastapi import APIRouter, FastAPI, Security
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBearer

from harness.facts import version
from harness.headend.api import commanding, events, exporting, metrics, queries
from harness.headend.api.access import TokenGate
from harness.headend.api.documentation import page
from harness.headend.api.models import Health
from harness.headend.api.problems import MEDIA_TYPE, Problem, tell_problems
from harness.headend.api.shards import HeadEnd

_PROBLEM: Final = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "no token, or another one"} | _PROBLEM,
    404: {"description": "there is no such meter or command"} | _PROBLEM,
    413: {"description": "the body is too large"} | _PROBLEM,
    422: {"description": "bad input; errors names the fields"} | _PROBLEM,
    503: {"description": "a shard or its store is away; see Retry-After"} | _PROBLEM,
}
# The gate in front of everything looks at the token; this says so in the documentation.
_DOCUMENTED: Final = Security(HTTPBearer(auto_error=False, description="the run's token"))

_open: Final = APIRouter(tags=["operation"])


@_open.get("/health")
async def health() -> Health:
    """Whether the API itself is up. Asks for no token."""
    return Health()


def application(head_end: HeadEnd, token: str) -> FastAPI:
    """Return the API in front of ``head_end`` for whoever has ``token``."""
    app = FastAPI(
        title="Meterstorm head-end",
        version=version(),
        description="Readings, alarms, devices, nodes, gaps, commands and exports of the reference "
        "head-end.",
        docs_url=None,
        redoc_url=None,
    )
    noted = metrics.RequestMetrics()
    app.state.head_end = head_end
    app.state.request_metrics = noted
    app.include_router(_open)
    for part in (queries, events, commanding, exporting, metrics):
        app.include_router(part.router, dependencies=[_DOCUMENTED], responses=PROBLEMS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    tell_problems(app)
    _document_problems(app)
    app.add_middleware(TokenGate, token=token)
    app.add_middleware(metrics.Measured, noted=noted)
    return app


def _document_problems(app: FastAPI) -> None:
    """Add the schema of problems, which no route returns, to the document of ``app``."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs")
    app.openapi()["components"]["schemas"] |= definitions | {"Problem": schema}
