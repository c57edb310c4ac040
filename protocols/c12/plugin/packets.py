"""APDUs as a capture shows them."""

from __future__ import annotations

from collections.abc import Sequence

from protocols.c12.framing import ApduReader, Oversized


class ApduPackets:
    """One direction of a connection, cut into APDUs; `protocols.plugin.PacketReader`."""

    def __init__(self) -> None:
        self._reader = ApduReader()

    def feed(self, data: bytes) -> Sequence[bytes]:
        """Take octets; return the whole APDUs. Raises `CodecError`: the framing is lost.

        An APDU that is larger than any may be is skipped, as the session does.
        """
        self._reader.feed(data)
        packets = []
        while (apdu := self._reader.next_apdu()) is not None:
            if not isinstance(apdu, Oversized):
                packets.append(apdu)
        return packets
