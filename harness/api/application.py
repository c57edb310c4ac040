"""What every HTTP API of ours is: who may ask, what is told of problems, its documentation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, Literal

from fastapi import APIRouter, FastAPI, Security
from fastapi.responses import HTMLResponse
from fastapi.security import HTTPBearer
from pydantic import BaseModel

from harness.api.access import TokenGate
from harness.api.documentation import page
from harness.api.problems import MEDIA_TYPE, Problem, tell_problems
from harness.facts import version

_PROBLEM: Final = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
PROBLEMS: Final[dict[int | str, dict[str, Any]]] = {
    401: {"description": "no token, or another one"} | _PROBLEM,
    404: {"description": "what was named is not there"} | _PROBLEM,
    413: {"description": "the body is too large"} | _PROBLEM,
    422: {"description": "bad input; errors names the fields"} | _PROBLEM,
    503: {"description": "what stands behind, or its store, is away; see Retry-After"} | _PROBLEM,
}
# The gate in front of everything looks at the token; this says so in the documentation.
_DOCUMENTED: Final = Security(HTTPBearer(auto_error=False, description="the run's token"))
_open: Final = APIRouter(tags=["operation"])


class Health(BaseModel):
    """The API itself is up; `Status` says how what stands behind it is."""

    status: Literal["ok"] = "ok"


@_open.get("/health")
async def health() -> Health:
    """Whether the API itself is up. Asks for no token."""
    return Health()


def guarded(title: str, description: str, routers: Sequence[APIRouter], token: str) -> FastAPI:
    """Return an API of ``routers`` for whoever has ``token``, with all that ours have in common.

    Args:
        title: what its documentation calls it.
        description: what it gives, in a sentence.
        routers: what asks for the token.
        token: the only one.
    """
    app = FastAPI(
        title=title, version=version(), description=description, docs_url=None, redoc_url=None
    )
    app.include_router(_open)
    for router in routers:
        app.include_router(router, dependencies=[_DOCUMENTED], responses=PROBLEMS)

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page(app.openapi()))

    tell_problems(app)
    _document_problems(app)
    app.add_middleware(TokenGate, token=token)
    return app


def _document_problems(app: FastAPI) -> None:
    """Add the schema of problems, which no route returns, to the document of ``app``."""
    schema = Problem.model_json_schema(ref_template="#/components/schemas/{model}")
    definitions = schema.pop("$defs")
    app.openapi()["components"]["schemas"] |= definitions | {"Problem": schema}
