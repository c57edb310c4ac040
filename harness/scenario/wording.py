"""The events of a timeline in words: whom they hit, what they do, when."""

from __future__ import annotations

from typing import Final

from harness.scenario.timeline import (
    Degrade,
    Flap,
    Freeze,
    Kill,
    Lose,
    MeterEvent,
    NetworkEvent,
    Outage,
    Partition,
    TimelineEvent,
)

_SYSTEMS: Final = {"bal": "battery layer", "billing": "billing back end"}
__all__ = ["time_in_words", "what_happens", "when_in_words"]


def what_happens(event: TimelineEvent) -> str:
    """Return whom an event befalls and what becomes of them."""
    match event:
        case Outage():
            return f"{_whom(event)} cut off"
        case Flap():
            broken = "connections break" if event.connections == "break" else "octets hang"
            every = f"of every {time_in_words(event.period)}"
            return f"{_whom(event)} down {_percent(event.down)} {every} ({broken})"
        case Partition():
            whither = "head-end" if event.of == "concentrators" else "battery layer"
            return f"{_whom(event)} without a way to the {whither} (octets hang)"
        case Degrade():
            ramp = f", {time_in_words(event.ramp)} to get there and back" if event.ramp else ""
            return f"{_whom(event)} worse: {_worse(event)}{ramp}"
        case Kill():
            return f"{_SYSTEMS.get(event.part, f'head-end shard {event.shard}')} killed"
        case Freeze():
            return f"{event.part} shard {event.shard} stands still"
        case Lose():
            before = f"readings captured before {_clock(event.before)}"
            return f"{before if event.before else 'the history'} lost from the store"
        case MeterEvent():
            return f"{event.event} of {_percent(event.share)} of the ANSI meters"


def when_in_words(event: TimelineEvent) -> str:
    """Return when an event happens, in scenario time since the start."""
    match event:
        case Kill() | Lose():
            return f"at {_clock(event.at)}"
        case Freeze():
            return f"at {_clock(event.at)} for {time_in_words(event.lasts)} of wall time"
    if isinstance(event, NetworkEvent) and event.hours is not None:
        text = f"every day {', '.join(map(str, event.hours))}"
        if event.at:
            text += f" from {_clock(event.at)} on"
        return text if event.lasts is None else f"{text} for {time_in_words(event.lasts)}"
    if event.lasts is None:
        return f"at {_clock(event.at)}"
    return f"at {_clock(event.at)} for {time_in_words(event.lasts)}"


def time_in_words(seconds: float) -> str:
    """Return a length of time in the largest unit that says it in whole numbers."""
    for unit, size in (("d", 86_400), ("h", 3600), ("min", 60)):
        if seconds >= size and seconds % size == 0:
            return f"{seconds / size:g} {unit}"
    return f"{seconds:g} s"


def _whom(event: NetworkEvent) -> str:
    links = " and ".join(event.links) if event.links else "all links"
    if event.of == "batteries":
        links += " of batteries"
    cells = f"{event.cells} cells on " if event.cells else ""
    region = f" in region {event.region}" if event.region else ""
    return f"{_percent(event.share)} of {cells}{links}{region}"


def _worse(event: Degrade) -> str:
    # As they are written in a scenario, but in the unit that people would use.
    written = event.worse.model_dump(mode="json", exclude={"way"}, exclude_none=True)
    if isinstance(event.loss, float):
        written["loss"] = _percent(event.loss)
    way = "" if event.way == "both" else f", {event.way} only"
    return ", ".join(f"{name} {figure}" for name, figure in written.items()) + way


def _percent(ppm: float) -> str:
    return f"{ppm / 10_000:g} %"


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    text = f"{int(minutes // 60):02}:{int(minutes % 60):02}"
    return f"{text}:{rest:02g}" if rest else text
