"""Where a battery is, as its interface may say it: a URL whose scheme is what it speaks.

======================================= ========================================
``jbd://192.0.2.7:8899``                a JBD battery management system over TCP
``jbd:///dev/ttyUSB0``                  one at a serial port of this machine
``sunspec://192.0.2.7:1502/3``          Modbus unit 3
``v1://192.0.2.7:4004/home``            the battery ``home`` of another node; v2 and v3 too
======================================= ========================================

Other words are for people: such a battery is reached where the configuration has an endpoint of its
name, and nowhere if it has none. Two nodes may be sources of each other, which nothing here sees:
`harness.bal.service` finds it out when they are asked.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote, urlsplit

from pydantic import ValidationError

from harness.bal.config import Endpoint
from harness.bal.tls import TlsFiles


def endpoint_of(interface: str, tls: TlsFiles | None) -> Endpoint | None:
    """Return the endpoint of an interface; None: it says none, or one that cannot be.

    ``tls`` is who we are to nodes that speak v3, which cannot be reached without.
    """
    try:
        url = urlsplit(interface)
        if url.scheme and not url.netloc and url.path.startswith("/"):
            return Endpoint.model_validate({"driver": url.scheme, "device": unquote(url.path)})
        told: dict[str, Any] = {"driver": url.scheme, "host": url.hostname, "port": url.port}
        rest = unquote(url.path.removeprefix("/"))
        if url.scheme == "sunspec" and rest:
            told["unit"] = int(rest)
        elif rest:
            told["battery"] = rest
        if url.scheme == "v3":
            if tls is None:
                return None
            told["tls"] = tls
        return Endpoint.model_validate(told)
    except (ValueError, ValidationError):
        return None
