"""Readings a second through the codecs, both ways, beside gurux-dlms on the same octets.

One push of 70 readings of four registers in the clear, as a DataNotification. gurux runs in a
process of its own, in the same minute on the same machine. Nothing is timed before every decoder
returned the same values and every encoder the same octets. Ciphering has lines of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Final

import numpy as np
from rich.console import Console

from protocols.dlms.axdr import decode_data, encode_data
from protocols.dlms.clock import encode_date_time
from protocols.dlms.concentrator_profile import (
    PREFIX_SIZE,
    PUSH_SETUP,
    PushDecoder,
    encode_buffer,
    encode_readings,
    encode_rows,
    push,
    push_apdu,
)
from protocols.dlms.data import (
    Data,
    array,
    double_long_unsigned,
    octet_string,
    structure,
    unsigned,
)
from protocols.dlms.foreign_rows import read_body, read_rows
from protocols.dlms.push import PushPeer, PushReceived, PushReceiver, PushSender
from protocols.dlms.security import (
    AUTHENTICATED_AND_ENCRYPTED,
    ReceiveCounter,
    SecurityKeys,
    SendCounter,
    protect,
    unprotect,
)
from protocols.lowering import lower
from protocols.lowering.codec import plain
from protocols.readings import ReadingBatch
from tests.bench.measuring import BUDGET_S, Line, show, timed
from tests.support.gurux import ask, gurux_is_installed

READINGS: Final = 70
REGISTERS: Final = 4
CONCENTRATORS_AT_ONCE: Final = 1000
TARGET_RATIO: Final = 50
NAME: Final = b"MSC0000000000001"
TITLE: Final = b"MSC\x00\x00\x00\x00\x01"
HEAD_END_TITLE: Final = b"MSH\x00\x00\x00\x00\x01"
CAPTURED_AT_S: Final = 1_700_000_000
DATE_TIME: Final = encode_date_time(CAPTURED_AT_S)
BODY_START: Final = 18
KEYS: Final = SecurityKeys(bytes(range(16)), bytes(range(16, 32)))


def main() -> None:
    """Print the figures. Raises `AssertionError` when two ways disagree."""
    batch = sample(READINGS)
    apdu = as_push(batch)
    check_decoders(batch, apdu)
    check_encoders(batch, apdu)
    gurux = gurux_is_installed()
    judge = gurux_lines(batch, apdu) if gurux else (None, None)
    console = Console()
    console.print(f"push of {READINGS} readings, {REGISTERS} registers: {len(apdu)} octets")
    decoded = decoding(apdu)
    show_pushes(console, "decode", decoded, judge[0])
    show_target(console, decoded[-1], judge[0])
    show_pushes(console, "encode", encoding(batch, apdu), judge[1])
    show_pushes(console, "sealed and opened (AES-128-GCM, tag 12)", ciphering(batch, apdu))


def sample(count: int) -> ReadingBatch:
    """Return readings of ``count`` meters."""
    generator = np.random.Generator(np.random.Philox(7))
    return ReadingBatch(
        NAME,
        np.array([b"MST%013d" % (number + 1) for number in range(count)], "S16"),
        np.full(count, CAPTURED_AT_S, np.int64),
        np.zeros(count, np.uint8),
        generator.integers(0, 2**32, (count, REGISTERS), np.uint32),
    )


def as_push(batch: ReadingBatch) -> bytes:
    return push_apdu(
        NAME,
        encode_readings(batch),
        len(batch),
        long_invoke_id_and_priority=1,
        date_time=DATE_TIME,
    )


def as_data(batch: ReadingBatch) -> Data:
    rows = zip(batch.meter_ids.tolist(), batch.status.tolist(), batch.values.tolist(), strict=True)
    return structure(
        octet_string(NAME),
        octet_string(PUSH_SETUP),
        array(
            structure(
                octet_string(meter),
                octet_string(DATE_TIME),
                unsigned(status),
                *(double_long_unsigned(value) for value in values),
            )
            for meter, status, values in rows
        ),
    )


def as_values(batch: ReadingBatch) -> dict[str, Any]:
    rows = zip(batch.meter_ids.tolist(), batch.status.tolist(), batch.values.tolist(), strict=True)
    return {
        "long_invoke_id_and_priority": 1,
        "date_time": DATE_TIME,
        "concentrator": NAME,
        "rows": [
            {
                "meter": meter,
                "captured_at": DATE_TIME,
                "status": status,
                "registers": [{"value": value} for value in values],
            }
            for meter, status, values in rows
        ],
    }


def decode_generic(apdu: bytes) -> ReadingBatch:
    return read_rows(*read_body(decode_data(apdu[BODY_START:])))


def check_decoders(batch: ReadingBatch, apdu: bytes) -> None:
    fast, generic = PushDecoder().decode_push(apdu), decode_generic(apdu)
    declaration = push(REGISTERS, READINGS)
    for decoded in (fast, generic):
        assert decoded.meter_ids.tolist() == batch.meter_ids.tolist()
        assert decoded.captured_at_s.tolist() == batch.captured_at_s.tolist()
        assert decoded.status.tolist() == batch.status.tolist()
        assert decoded.values.tolist() == batch.values.tolist()
    assert lower(declaration).parse(apdu) == plain(declaration.parse(apdu))
    found = [[each["value"] for each in row["registers"]] for row in declaration.parse(apdu).rows]
    assert found == batch.values.tolist()


def check_encoders(batch: ReadingBatch, apdu: bytes) -> None:
    assert apdu[BODY_START:] == encode_data(as_data(batch))
    assert apdu == lower(push(REGISTERS, READINGS)).build(as_values(batch))
    assert apdu[PREFIX_SIZE:] == encode_buffer(encode_readings(batch), READINGS)


def gurux_lines(batch: ReadingBatch, apdu: bytes) -> tuple[Line, Line]:
    """Return gurux's decoding and encoding, after it read and wrote what we do."""
    body = ask("decode", apdu)["body"]
    assert bytes.fromhex(body[0]) == NAME
    assert [bytes.fromhex(row[0]) for row in body[2]] == batch.meter_ids.tolist()
    assert [row[3:] for row in body[2]] == batch.values.tolist()
    decoded = ask("time_decode", apdu, budget_s=2 * BUDGET_S)["rate"]
    encoded = ask("time_encode", apdu, budget_s=2 * BUDGET_S)
    assert bytes.fromhex(encoded["wire"]).endswith(apdu[BODY_START:])
    return Line("gurux-dlms", decoded), Line("gurux-dlms", encoded["rate"])


timed_push = partial(timed, units=READINGS)


def decoding(apdu: bytes) -> list[Line]:
    decoder, codec = PushDecoder(), lower(push(REGISTERS, READINGS))
    compiled = push(REGISTERS, READINGS).compile()
    return [
        timed_push("construct, compiled", lambda: compiled.parse(apdu)),
        timed_push("generic A-XDR", lambda: decode_generic(apdu)),
        timed_push("lowered to struct code", lambda: codec.parse(apdu)),
        timed_push("lowered to numpy", lambda: decoder.decode_push(apdu)),
    ]


def encoding(batch: ReadingBatch, apdu: bytes) -> list[Line]:
    codec, compiled = lower(push(REGISTERS, READINGS)), push(REGISTERS, READINGS).compile()
    data, values = as_data(batch), plain(push(REGISTERS, READINGS).parse(apdu))
    many = sample(READINGS * CONCENTRATORS_AT_ONCE)

    def fleet() -> None:
        rows = encode_rows(many.meter_ids, CAPTURED_AT_S, many.status, many.values)
        for first in range(0, len(rows), READINGS):
            push_apdu(
                NAME,
                rows[first : first + READINGS].tobytes(),
                READINGS,
                long_invoke_id_and_priority=1,
                date_time=DATE_TIME,
            )

    return [
        timed_push("construct, compiled", lambda: compiled.build(values)),
        timed_push("generic A-XDR", lambda: encode_data(data)),
        timed_push("lowered to struct code", lambda: codec.build(values)),
        timed_push("lowered to numpy, one push", lambda: as_push(batch)),
        timed("lowered to numpy, 1,000 pushes", fleet, READINGS * CONCENTRATORS_AT_ONCE),
    ]


def ciphering(batch: ReadingBatch, apdu: bytes) -> list[Line]:
    secret = (KEYS.unicast_encryption, KEYS.authentication, TITLE)
    content = protect(*secret, 0, AUTHENTICATED_AND_ENCRYPTED, apdu)
    return [
        timed_push("seal only", lambda: protect(*secret, 0, AUTHENTICATED_AND_ENCRYPTED, apdu)),
        timed_push("open only", lambda: unprotect(*secret, content)),
        timed_push("whole push, both engines", partial(whole_push(), batch)),
    ]


def whole_push() -> Callable[[ReadingBatch], None]:
    """Return what pushes a batch, ciphered, takes it, and takes the confirmation."""
    sent, peer = SendCounter(), PushPeer(KEYS, ReceiveCounter())
    sender = PushSender(
        system_title=TITLE,
        keys=KEYS,
        counter=sent,
        head_end={HEAD_END_TITLE: PushPeer(KEYS, ReceiveCounter())}.get,
        protection=AUTHENTICATED_AND_ENCRYPTED,
    )
    receiver = PushReceiver(
        peers={TITLE: peer}.get,
        system_title=HEAD_END_TITLE,
        counter=SendCounter(),
        required=AUTHENTICATED_AND_ENCRYPTED,
    )

    def whole(batch: ReadingBatch) -> None:
        [received] = receiver.receive_data(sender.push(batch, 1))
        assert isinstance(received, PushReceived)
        sender.receive_data(receiver.confirm(received))

    return whole


def show_pushes(console: Console, title: str, lines: list[Line], judge: Line | None = None) -> None:
    everyone = [judge, *lines] if judge else lines
    show(console, title, everyone, unit="reading", base=judge, group=("push", READINGS))


def show_target(console: Console, lowered: Line, judge: Line | None) -> None:
    if judge is not None:
        met = "met" if lowered.rate / judge.rate >= TARGET_RATIO else "MISSED"
        console.print(f"target: lowered decode at least {TARGET_RATIO} x gurux-dlms: {met}")


if __name__ == "__main__":
    main()
