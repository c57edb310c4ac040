"""Relays and master relays of C12.22: who is a node's way out, and how nodes become known to it.

A node registers (service 27) for a period and must do so again before it ends; relays forward by
ApTitle, what is not below them upwards; the master relay, at the top, resolves titles and traces
ways. All of it without I/O: relays and head-ends share these rules.
"""

from protocols.c12.relay.membership import Membership
from protocols.c12.relay.network import answer_resolve, answer_trace, grant, registration_of
from protocols.c12.relay.routing import Place, Router

__all__ = [
    "Membership",
    "Place",
    "Router",
    "answer_resolve",
    "answer_trace",
    "grant",
    "registration_of",
]
