"""Wrapper PDUs as a capture shows them."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.dlms.wrapper import WpduReader


class WpduPackets:
    """One direction of a connection, cut into wrapper PDUs; `protocols.plugin.PacketReader`."""

    def __init__(self) -> None:
        self._reader = WpduReader()

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take octets; return the whole PDUs, headers included. Raises `CodecError`."""
        self._reader.feed(data)
        packets = []
        while (pdu := self._reader.next_pdu()) is not None:
            packets.append(pdu.encode())
        return packets
