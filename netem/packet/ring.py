"""One end of a wire: frames received through a ring shared with the kernel, and sent one by one.

Linux packet sockets, TPACKET_V2: the kernel writes frames with their time of arrival into slots of
a shared memory, so that receiving takes no system call for each frame, and a loop that is late
still knows when they came. Layouts: ``linux/if_packet.h`` and Documentation/networking/packet_mmap.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import socket
import struct
import time
from typing import Final

from netem.model.delay import NANOSECONDS

RING_OCTETS: Final = 16 << 20
"""Of each ring: 8,192 frames of 1,500 octets."""
_BLOCK_OCTETS: Final = 1 << 18
_SLOT_OVERHEAD: Final = 128
"""More than a slot's header, the address behind it and the frame's Ethernet header need."""
_LONGEST_READ: Final = 512
"""Frames taken in one go, so that those which are due need not wait for a flood to end."""

_SIOCGIFMTU: Final = 0x8921
_INTERFACE_REQUEST: Final = struct.Struct("=16si20x")
_SOL_PACKET: Final = 263
_PACKET_RX_RING: Final = 5
_PACKET_STATISTICS: Final = 6
_PACKET_VERSION: Final = 10
_PACKET_IGNORE_OUTGOING: Final = 23
_TPACKET_V2: Final = 1
_ALL_PROTOCOLS: Final = 0x0003
"""In this machine's order of octets: Python's ``bind`` swaps them."""
_TP_STATUS_KERNEL: Final = 0
_TP_STATUS_USER: Final = 1
_TP_STATUS_CSUMNOTREADY: Final = 8
# Of struct tpacket2_hdr: status, length, length captured, offset of the frame, offset of the
# network header, seconds and nanoseconds of the real-time clock.
_HEADER: Final = struct.Struct("=IIIHHII")
_STATUS: Final = struct.Struct("=I")
_REQUEST: Final = struct.Struct("=IIII")
_STATISTICS: Final = struct.Struct("=II")


def open_packet_socket(interface: str) -> socket.socket:
    """Return a packet socket that sees what comes in at ``interface``, of the thread's namespace.

    Raises:
        OSError: no such interface, or no right to raw sockets (CAP_NET_RAW).
    """
    # Protocol 0: nothing comes in before the ring is there.
    packet_socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    packet_socket.bind((interface, 0))
    packet_socket.setblocking(False)
    return packet_socket


def _mtu(packet_socket: socket.socket, interface: str) -> int:
    request = _INTERFACE_REQUEST.pack(interface.encode(), 0)
    answer = fcntl.ioctl(packet_socket, _SIOCGIFMTU, request)
    return int(_INTERFACE_REQUEST.unpack(answer)[1])


class RingSocket:
    """A packet socket with its ring of received frames; the socket is closed with it."""

    def __init__(self, packet_socket: socket.socket) -> None:
        """Set up the ring on a socket of `open_packet_socket` and begin to receive.

        Raises:
            OSError: the kernel has no such rings, or no memory for this one.
        """
        self._socket = packet_socket
        interface = packet_socket.getsockname()[0]
        self._slot_octets = 1 << (_mtu(packet_socket, interface) + _SLOT_OVERHEAD - 1).bit_length()
        packet_socket.setsockopt(_SOL_PACKET, _PACKET_VERSION, _TPACKET_V2)
        packet_socket.setsockopt(_SOL_PACKET, _PACKET_IGNORE_OUTGOING, 1)
        request = _REQUEST.pack(
            _BLOCK_OCTETS,
            RING_OCTETS // _BLOCK_OCTETS,
            self._slot_octets,
            RING_OCTETS // self._slot_octets,
        )
        packet_socket.setsockopt(_SOL_PACKET, _PACKET_RX_RING, request)
        self._ring = mmap.mmap(packet_socket.fileno(), RING_OCTETS)
        self._at = 0
        self.read_ns = time.monotonic_ns()
        """All that came in before this time has been returned by `receive`."""
        self.unfinished = 0
        """Frames whose checksum was left to hardware there is not: nobody will accept them."""
        self.missed = 0
        """Frames that found the ring full, as of the last `update_missed`."""
        self.oversize = 0
        """Frames too long for a slot or for the other wire, which are dropped."""
        self.refused = 0
        """Frames the kernel did not take for sending."""
        packet_socket.bind((interface, _ALL_PROTOCOLS))

    def fileno(self) -> int:
        """Return the descriptor, which is readable when frames wait."""
        return self._socket.fileno()

    def receive(self) -> list[tuple[int, bytes]]:
        """Return the frames that wait, with their times of arrival; not all of a flood at once.

        Times are of the monotonic clock, in nanoseconds, and lie between the last call and now.
        """
        frames: list[tuple[int, bytes]] = []
        ring, at, slot_octets = self._ring, self._at, self._slot_octets
        now_ns = time.monotonic_ns()
        to_monotonic_ns = now_ns - time.time_ns()
        for _ in range(_LONGEST_READ):
            status, octets, captured, begin, _, seconds, nanoseconds = _HEADER.unpack_from(ring, at)
            if not status & _TP_STATUS_USER:
                break
            self.unfinished += status & _TP_STATUS_CSUMNOTREADY != 0
            if octets == captured:
                arrived_ns = seconds * NANOSECONDS + nanoseconds + to_monotonic_ns
                # The real-time clock may be set; the frame came in since the last reading.
                arrived_ns = min(max(arrived_ns, self.read_ns), now_ns)
                frames.append((arrived_ns, ring[at + begin : at + begin + captured]))
            else:
                self.oversize += 1
            _STATUS.pack_into(ring, at, _TP_STATUS_KERNEL)
            at = (at + slot_octets) % RING_OCTETS
        else:
            now_ns = frames[-1][0] if frames else self.read_ns  # more of them wait
        self._at, self.read_ns = at, now_ns
        return frames

    def send(self, frame: bytes) -> None:
        """Send ``frame`` on this wire; one that the kernel does not take is dropped and counted."""
        try:
            self._socket.send(frame)
        except OSError as error:
            if error.errno == errno.EMSGSIZE:
                self.oversize += 1
            else:
                self.refused += 1

    def update_missed(self) -> None:
        """Ask the kernel how many frames found the ring full; it counts anew after each answer."""
        answer = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, _STATISTICS.size)
        self.missed += _STATISTICS.unpack(answer)[1]

    def close(self) -> None:
        """Close the socket and give the ring back; idempotent."""
        self._ring.close()
        self._socket.close()
