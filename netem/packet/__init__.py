"""The packet tier: real IP packets over links that a process of ours emulates.

Everything an ordinary user may do inside a user namespace: veth cables, packet sockets. TCP is the
kernel's own on both sides, so what is lost is really retransmitted. The laws of the links are the
link model's (`netem.model`), drawn for real packets.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from netem.packet.lab import PacketLab, open_packet_lab

__all__ = ["PacketLab", "open_packet_lab"]


def __getattr__(name: str) -> Any:  # noqa: ANN401 - whatever the lab module has
    """Import the owner's side when it is asked for: the emulator's process has no use for it."""
    if name not in __all__:
        raise AttributeError(name)
    from netem.packet import lab

    return getattr(lab, name)
