"""Who may ask: a bearer token (RFC 6750), looked at before anything else of a request is read."""

from __future__ import annotations

from hashlib import sha256
from hmac import compare_digest
from http import HTTPStatus
from typing import Final

from fastapi import HTTPException
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.api.problems import problem

OPEN_PATHS: Final = frozenset({"/health", "/openapi.json", "/docs"})
"""What tells nothing of what is behind, and so asks for no token."""
BODY_MAX: Final = 64 * 1024
_TOO_LARGE: Final = f"a body has at most {BODY_MAX:,} octets"
CHALLENGE: Final = 'Bearer realm="meterstorm"'


class TokenGate:
    """Lets through who has the token, and bodies of at most 64 KiB."""

    def __init__(self, app: ASGIApp, token: str) -> None:
        self._app = app
        # Of equal length whatever is offered, so that the time to compare says nothing.
        self._digest = sha256(token.encode()).digest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer 401 or 413, or pass the request on."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        if scope["path"] not in OPEN_PATHS and not self._admits(headers):
            challenge = CHALLENGE + (
                ', error="invalid_token"' if "authorization" in headers else ""
            )
            refusal = problem(
                HTTPStatus.UNAUTHORIZED,
                "send the token: Authorization: Bearer TOKEN",
                headers={"WWW-Authenticate": challenge},
            )
            await refusal(scope, receive, send)
            return
        if _announced(headers) > BODY_MAX:
            refusal = problem(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
            await refusal(scope, receive, send)
            return
        await self._app(scope, _bounded(receive), send)

    def _admits(self, headers: Headers) -> bool:
        scheme, _, offered = headers.get("authorization", "").partition(" ")
        digest = sha256(offered.strip().encode()).digest()
        return compare_digest(digest, self._digest) and scheme.lower() == "bearer"


def _announced(headers: Headers) -> int:
    text = headers.get("content-length", "")
    return int(text) if text.isascii() and text.isdigit() else 0


def _bounded(receive: Receive) -> Receive:
    """Return ``receive`` that refuses a body without length once it grows over the bound."""
    received = 0

    async def receive_bounded() -> Message:
        nonlocal received
        message = await receive()
        received += len(message.get("body", b""))
        if received > BODY_MAX:
            raise HTTPException(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, _TOO_LARGE)
        return message

    return receive_bounded
