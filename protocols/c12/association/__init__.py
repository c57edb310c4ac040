"""Associations of C12.22 nodes, server and client, with sessions and without."""

from protocols.c12.association.channel import Channel, KeyLookup, Node
from protocols.c12.association.client import ClientAssociation
from protocols.c12.association.endpoint import Endpoint
from protocols.c12.association.events import (
    Answered,
    ClosingCause,
    Event,
    Failure,
    NoException,
    Opened,
    Refused,
    RequestFailed,
    RequestRefused,
    SessionClosed,
    SessionOpened,
)
from protocols.c12.association.outstanding import Delivery
from protocols.c12.association.refusals import ANSWERS, Refusal, RefusalKind
from protocols.c12.association.server import ApplicationFactory, ServerAssociation

__all__ = [
    "ANSWERS",
    "Answered",
    "ApplicationFactory",
    "Channel",
    "ClientAssociation",
    "ClosingCause",
    "Delivery",
    "Endpoint",
    "Event",
    "Failure",
    "KeyLookup",
    "NoException",
    "Node",
    "Opened",
    "Refusal",
    "RefusalKind",
    "Refused",
    "RequestFailed",
    "RequestRefused",
    "ServerAssociation",
    "SessionClosed",
    "SessionOpened",
]
