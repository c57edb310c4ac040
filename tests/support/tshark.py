"""tshark, an independent judge of C12.22, in a process of its own."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from protocols.c12 import ber
from protocols.c12.acse import decode_apdu
from protocols.c12.framing import PORT
from protocols.pcapng import Packet, packet, section

TIMEOUT_S: Final = 60.0
_FIELDS: Final = (
    "c1222.crypto_good",
    "c1222.crypto_bad",
    "c1222.cmd",
    "c1222.err",
    "c1222.write.table",
    "c1222.bad_checksum",
    "_ws.expert.message",
)


def tshark_is_installed() -> bool:
    """Tell whether there is a tshark to ask."""
    return shutil.which("tshark") is not None


def is_misjudged(octets: bytes) -> bool:
    """Tell whether tshark 4.0 calls the MAC of a message bad however good it is.

    It takes for granted that the three lengths before the EPSEM (of the user information, of the
    external and of its encoding) have equally many octets. Where the outer one just needs one more
    than the inner, it authenticates octets that are not of the header.
    """
    encoding = len(octets) - decode_apdu(octets).spans.information_start
    external = 1 + len(ber.length(encoding)) + encoding
    information = 1 + len(ber.length(external)) + external
    return len({len(ber.length(size)) for size in (encoding, external, information)}) > 1


@dataclass(frozen=True)
class Judgement:
    """What tshark says of one message; lists hold what it shows, in its own notation.

    ``genuine`` is ``None`` where there was no MAC to verify.
    """

    genuine: bool | None
    services: tuple[str, ...]
    responses: tuple[str, ...]
    written: tuple[int, ...]
    complaints: tuple[str, ...]


def judge(folder: Path, messages: Iterable[bytes], keys: Mapping[int, bytes]) -> list[Judgement]:
    """Return what tshark says of C12.22 APDUs; ``keys`` by key id. Writes into ``folder``."""
    ends = ("127.0.0.1", 49_152), ("127.0.0.2", PORT)
    capture = folder / "c1222.pcapng"
    capture.write_bytes(
        section() + b"".join(packet(Packet(0, *ends, PORT, octets)) for octets in messages)
    )
    return judge_capture(capture, keys)


def judge_capture(capture: Path, keys: Mapping[int, bytes]) -> list[Judgement]:
    """Return what tshark says of each message in a capture of C12.22; ``keys`` by key id."""
    options = ["c1222.decrypt:TRUE", "c1222.baseoid:2.16.124.113620.1.22.0"]
    # It reads a key id as hexadecimal, whatever its documentation says.
    options += [
        f'uat:c1222_decryption_table:"0x{key_id:02x}",{key.hex()}' for key_id, key in keys.items()
    ]
    command = ["tshark", "-r", str(capture), "-T", "fields", "-E", "separator=|"]
    command += [word for option in options for word in ("-o", option)]
    command += [word for field in _FIELDS for word in ("-e", field)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT_S, check=True)
    return [_judgement(line.split("|", len(_FIELDS) - 1)) for line in done.stdout.splitlines()]


def _judgement(columns: list[str]) -> Judgement:
    good, bad, services, responses, written, checksum, expert = columns
    genuine = None if not good and not bad else (good, bad) == ("1", "0")
    return Judgement(
        genuine,
        _words(services),
        _words(responses),
        tuple(int(word, 16) for word in _words(written)),
        (*_words(checksum), *_words(expert)),
    )


def _words(column: str) -> tuple[str, ...]:
    return tuple(column.split(",")) if column else ()
