"""ST3, mode and status: as a mode and a number whose bit n is status n."""

from __future__ import annotations

from typing import Final

from protocols.c12.meter.schema import MeterSchema
from protocols.c12.tables.formats.bits import RESERVED
from protocols.c12.tables.status import STANDARD_STATUS, flags_of
from protocols.plugin import MeterMode

MODE_STATUS: Final = 3
MODE_KEYS: Final = {
    MeterMode.METERING: "metering",
    MeterMode.TEST: "test",
    MeterMode.SHOP: "meter_shop",
    MeterMode.FACTORY: "factory",
}


def encode_mode_status(schema: MeterSchema, mode: MeterMode, bits: int) -> bytes:
    """Return ST3; ``bits`` 0 to 15 are the first status word, 16 to 23 the second."""
    word = bits & 0xFFFF
    values = {
        "mode": {MODE_KEYS[mode]: True},
        "standard_status_1": {RESERVED: word, **{flag.key: True for flag in flags_of(word)}},
        "standard_status_2": bits >> 16 & 0xFF,
        "manufacturer_status": bytes(schema.configuration.manufacturer_status_size),
    }
    return schema.encode(MODE_STATUS, values)


def decode_status_bits(schema: MeterSchema, data: bytes) -> int:
    """Return the bits that ST3 shows. Raises `CodecError`."""
    values = schema.decode(MODE_STATUS, data)
    flags = values["standard_status_1"]
    named = sum(1 << bit for key, bit in STANDARD_STATUS.items() if flags[key])
    return int(named | flags.get(RESERVED, 0) | values["standard_status_2"] << 16)
