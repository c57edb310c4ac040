"""Deterministic model of a TCP connection over a link: no sockets, no clock, no global randomness.

Theory of operation. A connection has two directions, each a `Path` that carries packets: it
limits (packets per second, bits per second), loses and delays them. Two `TcpSender` use the paths
crosswise, one sending data up and hearing acknowledgements from below, the other the reverse.
Time is an argument in integer nanoseconds; the answer to "this many octets are handed over now"
is when each of them comes out at the far end, loss recovery included. The whole life of a transfer
is worked out at the moment it begins, so nothing has to run while it is under way.

Every random number is keyed by what it belongs to (`LinkIdentity`, exchange, attempt, direction,
packet), never by the order in which connections happen to be served.
"""

from netem.model.delay import DelayLaw, delay_law
from netem.model.link import Handshake, LinkIdentity, LinkModel, LinkTimeout
from netem.model.statistics import DirectionStatistics, LinkStatistics, set_and_drawn
from netem.model.tcp import Transfer
from netem.profiles import Direction

__all__ = [
    "DelayLaw",
    "Direction",
    "DirectionStatistics",
    "Handshake",
    "LinkIdentity",
    "LinkModel",
    "LinkStatistics",
    "LinkTimeout",
    "Transfer",
    "delay_law",
    "set_and_drawn",
]
