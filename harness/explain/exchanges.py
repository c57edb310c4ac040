"""The messages that carried one reading, and those that answer or ask for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from emulator.identity import concentrator_name, meter_name
from harness.check.recorded import RecordedRun
from harness.explain.captures import RunCaptures, Said
from harness.explain.decoded import CarriedReading
from harness.explain.story import Message
from harness.explain.surroundings import since_began_s

NEAREST: Final = 4
"""Messages shown of a concentrator where none carries the reading."""


@dataclass(frozen=True, slots=True)
class Carrying:
    """A message that carries a reading: what it says of it, and what answers or asks for it."""

    said: Said
    reading: CarriedReading
    partner: Said | None


@dataclass(slots=True)
class Exchanges:
    """What was captured of the concentrators of a run, each looked up once."""

    run: RecordedRun
    captures: RunCaptures
    _said: dict[int, list[Said]] = field(default_factory=dict)

    def of(self, concentrator: int) -> list[Said]:
        """Return what a concentrator said and heard. Raises `OSError`."""
        if concentrator not in self._said:
            self._said[concentrator] = self.captures.of(concentrator)
        return self._said[concentrator]

    def carrying(self, concentrator: int, meter: int, captured_at_s: int) -> list[Carrying]:
        """Return the messages that carry a reading, in order of time."""
        said, name = self.of(concentrator), meter_name(meter).decode()
        return [
            Carrying(one, reading, _partner(said, place))
            for place, one in enumerate(said)
            for reading in one.decoded.readings
            if (reading.meter, reading.captured_at_s) == (name, captured_at_s)
        ]

    def unheard(self, concentrator: int) -> str:
        """Return why no message with a reading was captured, in words."""
        name = concentrator_name(concentrator).decode()
        said = self.of(concentrator)
        if said:
            first_s, last_s = (self.at_s(one) for one in (said[0], said[-1]))
            problems = sorted({one.decoded.problem for one in said if one.decoded.problem})
            return (
                f"none of the {len(said)} messages captured of {name}, "
                f"from {first_s:.3f} s to {last_s:.3f} s, carries this reading"
                + (f" ({problems[0]})" if problems else "")
            )
        return f"nothing was captured of {name}; to see it: meterstorm run ... --capture {name}"

    def message(self, said: Said) -> Message:
        """Return a message as an explanation shows it."""
        captured = said.captured
        name = concentrator_name(captured.concentrator).decode()
        return Message(
            at_s=self.at_s(said),
            file=captured.file,
            frame=captured.frame,
            who=name if captured.up else "head-end",
            octets=len(captured.packet.octets),
            layers=said.decoded.layers,
            problem=said.decoded.problem or captured.packet.comment * (not said.decoded.layers),
        )

    def at_s(self, said: Said) -> float:
        """Return when a message crossed: wall seconds since the run began."""
        return since_began_s(self.run, said.captured.packet.at_ns / 1000)

    def around(self, concentrator: int, at_s: float) -> list[Said]:
        """Return the few messages of a concentrator that are nearest to a moment, in order."""
        near = sorted(self.of(concentrator), key=lambda one: abs(self.at_s(one) - at_s))[:NEAREST]
        return sorted(near, key=lambda one: one.captured.packet.at_ns)

    def wireshark(self, concentrator: int, messages: Sequence[Message]) -> Iterator[str]:
        """Yield the commands that show messages in tshark."""
        keys = "-C ansi-fleet " if self.captures.dialects.name(concentrator) == "c12" else ""
        for file in dict.fromkeys(message.file for message in messages):
            if file.endswith(".pcapng"):
                frames = ",".join(str(one.frame) for one in messages if one.file == file)
                path = self.captures.folder / file
                yield f"tshark {keys}-r {path} -Y 'frame.number in {{{frames}}}' -V"


def _partner(said: Sequence[Said], place: int) -> Said | None:
    """Return what answers a message, or the request that it answers, if it was captured."""
    one = said[place]
    others = reversed(said[:place]) if one.decoded.is_answer else iter(said[place + 1 :])
    for other in others:
        if (
            other.captured.connection == one.captured.connection
            and other.captured.up is not one.captured.up
            and other.decoded.node == one.decoded.node
        ):
            return other
    return None
