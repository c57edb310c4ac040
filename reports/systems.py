"""Batteries and billing, the systems beside the head-end, as all views tell of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from reports.recording import BatteryFigures, BillFigures, Verdict
from reports.story import AccountLine, Tone
from reports.text import count, counted, figure, seconds, share

__all__ = ["SystemPart", "SystemTable", "battery_facts", "examples_of", "systems"]

_FATES: Final = (
    ("executed", "the battery said that it did", Tone.GOOD),
    ("in force", "asked first, the battery did it already", Tone.GOOD),
    ("superseded", "a later one took its place before it was sent", Tone.PLAIN),
    ("refused", "the battery refused", Tone.DOUBT),
    ("lost", "the battery went out of reach: it may have come or not, but not twice", Tone.DOUBT),
    ("open", "the run was over before its fate was known", Tone.PLAIN),
)
"""What becomes of an order, as the journal of the layer words it."""
_READ: Final = "Virtual batteries were read and commanded at times set beforehand."
_HELD: Final = (
    "The battery layer writes a command into its journal before it accepts it, and before it "
    "orders anything of a battery. Here that journal is held against what each battery has on its "
    "own record."
)
_FROM_OUTSIDE: Final = (
    "The battery layer is not ours, so there is no journal of it. Here what clients were told is "
    "held against what each battery has on its own record; whether an order was lost on the way, "
    "given again or given by nobody, cannot be said."
)
_FOUND: Final = (
    ("beyond limits", "beyond_limits", "a current or a charge that the battery is not built for"),
    ("unaccounted", "unaccounted", "a charge that does not follow from current and time"),
    ("lost", "lost", "the layer says it was executed, and the battery was never told"),
    ("twice", "twice", "one order given more than once"),
    ("invented", "invented", "a command that no order explains"),
)
"""What must not be on the batteries' own record."""
_OBEYED: Final = (
    ("obeyed", "obeyed", "the batteries behind were seen to do it", Tone.GOOD),
    ("disobeyed", "disobeyed", "they could, and did something else for too long", Tone.BAD),
    ("not judged", "unjudged", "told anew or cut off before either was certain", Tone.PLAIN),
)
"""What becomes of what clients told, seen from outside the layer."""
_TOLD: Final = (
    ("unconserved", "unconserved", "virtual meters and orders that do not add up"),
    ("mixed snapshots", "mixed_snapshots", "a charge that was not there at the times they name"),
)
"""What must not be among the things that the layer told."""


@dataclass(frozen=True, slots=True)
class SystemTable:
    """Counts under one title: the whole first, then what it splits into or is held against."""

    title: str
    whole: AccountLine
    lines: tuple[AccountLine, ...]


@dataclass(frozen=True, slots=True)
class SystemPart:
    """What a view shows of one system. ``sentence`` is all of it in a line."""

    key: str
    title: str
    lead: str
    sentence: str
    tables: tuple[SystemTable, ...]
    examples: tuple[str, ...]


def systems(verdict: Verdict) -> tuple[SystemPart, ...]:
    """Return the systems beside the head-end that a run had."""
    parts = []
    if verdict.batteries is not None:
        parts.append(_batteries(verdict.batteries))
    if verdict.bills is not None:
        parts.append(_bills(verdict.bills))
    return tuple(parts)


def battery_facts(figures: BatteryFigures) -> dict[str, str]:
    """Return what a machine wants to know of the batteries, beside the checks: names and values."""
    commands = {
        f"batteries.commands_{name}": getattr(figures, f"commands_{name}")
        for name in ("asked", "accepted", "refused")
    }
    fates = {f"batteries.orders.{fate}": number for fate, number in sorted(figures.orders.items())}
    counts = {"batteries": figures.batteries, "batteries.executed": figures.executed}
    if figures.disobeyed is not None:
        counts |= {
            "batteries.obeyed": figures.obeyed,
            "batteries.unjudged": figures.unjudged,
        }
    return {name: str(number) for name, number in (counts | commands | fates).items()}


def examples_of(verdict: Verdict, check: str) -> tuple[str, ...]:
    """Return what was found that a check is about, the first few; nothing for other checks."""
    part, _, kind = check.partition(".")
    systems_of: dict[str, BatteryFigures | BillFigures | None] = {
        "batteries": verdict.batteries,
        "bills": verdict.bills,
    }
    figures = systems_of.get(part)
    examples = () if figures is None else figures.examples
    return tuple(example for example in examples if example.startswith(f"{kind}: "))


def _line(label: str, value: int, whole: int, meaning: str, tone: Tone) -> AccountLine:
    return AccountLine(label, value, share(value, whole), meaning, tone if value else Tone.PLAIN)


def _count(label: str, value: int, meaning: str, tone: Tone = Tone.PLAIN) -> AccountLine:
    return AccountLine(label, value, "", meaning, tone if value else Tone.PLAIN)


# Batteries


def _batteries(figures: BatteryFigures) -> SystemPart:
    tables = [_commands(figures), _record(figures)]
    if figures.journal:
        tables.insert(1, _orders(figures))
    if figures.disobeyed is not None:
        tables.append(_obeyed(figures))
    return SystemPart(
        key="batteries",
        title="Batteries",
        lead=f"{_READ} {_HELD if figures.journal else _FROM_OUTSIDE}",
        sentence=_battery_sentence(figures),
        tables=(*tables, _said(figures)),
        examples=figures.examples,
    )


def _commands(figures: BatteryFigures) -> SystemTable:
    asked = figures.commands_asked
    lost = figures.commands_lost
    taken = "durable when answered" if figures.journal else "so the layer said"
    forgotten = "accepted, and the journal does not know of it"
    unanswered = asked - figures.commands_accepted - figures.commands_refused
    return SystemTable(
        "Commands of clients",
        _count("Asked", asked, f"of {_virtual(figures)}"),
        (
            _line("accepted", figures.commands_accepted, asked, taken, Tone.GOOD),
            _line("refused", figures.commands_refused, asked, "with a reason", Tone.PLAIN),
            _line("unanswered", unanswered, asked, "no answer in time, or an error", Tone.DOUBT),
            *([] if lost is None else [_line("lost", lost, asked, forgotten, Tone.BAD)]),
        ),
    )


def _orders(figures: BatteryFigures) -> SystemTable:
    known = {fate for fate, _, _ in _FATES}
    whole = sum(figures.orders.values())
    lines = [
        _line(fate, figures.orders.get(fate, 0), whole, meaning, tone)
        for fate, meaning, tone in _FATES
    ]
    lines += [
        _line(fate, number, whole, "", Tone.DOUBT)
        for fate, number in figures.orders.items()
        if fate not in known
    ]
    title = "Orders of the layer, by what became of them"
    ordered = _count("Ordered", whole, "what a command means to one battery")
    return SystemTable(title, ordered, tuple(lines))


def _record(figures: BatteryFigures) -> SystemTable:
    of = counted(figures.batteries, "battery", "batteries")
    return SystemTable(
        "What the batteries have on record",
        _count("Carried out", figures.executed, f"by {of}"),
        tuple(_findings(figures, _FOUND)),
    )


def _findings(
    figures: BatteryFigures, rows: Iterable[tuple[str, str, str]]
) -> Iterator[AccountLine]:
    """Yield what must be nothing, as far as somebody can say what it is."""
    for label, name, meaning in rows:
        if (found := getattr(figures, name)) is not None:
            yield _count(label, found, meaning, Tone.BAD)


def _obeyed(figures: BatteryFigures) -> SystemTable:
    counts = [getattr(figures, name) or 0 for _, name, _, _ in _OBEYED]
    whole = sum(counts)
    rows = zip(_OBEYED, counts, strict=True)
    return SystemTable(
        "What virtual batteries were told, seen from outside the layer",
        _count("Told", whole, "commands accepted; begins and ends of set points"),
        tuple(
            _line(label, value, whole, meaning, tone) for (label, _, meaning, tone), value in rows
        ),
    )


def _said(figures: BatteryFigures) -> SystemTable:
    meters = "no" if figures.accounts is None else count(figures.accounts)
    told = f"that clients got; {meters} virtual meters" if figures.journal else "that clients got"
    orders = " and its orders" if figures.journal else ""
    return SystemTable(
        f"What the layer told, against the batteries' record{orders}",
        _count("Snapshots", figures.snapshots, told),
        tuple(_findings(figures, _TOLD)),
    )


def _virtual(figures: BatteryFigures) -> str:
    return counted(figures.virtual, "virtual battery", "virtual batteries")


def _battery_sentence(figures: BatteryFigures) -> str:
    accepted = count(figures.commands_accepted)
    taken = f"{accepted} of {counted(figures.commands_asked, 'command')} accepted"
    if figures.commands_lost:
        taken += f", {count(figures.commands_lost)} of them lost"
    found = [f"{count(n)} {label}" for label, name, _ in _FOUND if (n := getattr(figures, name))]
    well = "each as ordered" if figures.journal else "all within limits"
    fate = ", ".join(found) if found else well
    told = [f"{count(n)} {label}" for label, name, _ in _TOLD if (n := getattr(figures, name))]
    fate = "; ".join([fate, ", ".join(told)]) if told else fate
    if figures.disobeyed is not None:
        fate += (
            f"; of what was told {count(figures.obeyed)} seen obeyed, "
            f"{count(figures.disobeyed)} disobeyed, {count(figures.unjudged)} not judged"
        )
    return (
        f"{counted(figures.batteries, 'battery', 'batteries')}, "
        f"{counted(figures.virtual, 'virtual one')} commanded: "
        f"{taken}; {counted(figures.executed, 'order')} carried out, {fate}"
    )


# Billing


def _bills(figures: BillFigures) -> SystemPart:
    due = figures.due
    table = SystemTable(
        "Bills",
        _count("Due", due, f"of whole months that the plan covers{_made(figures)}"),
        (
            _line("correct", figures.correct, due, "right to the cent", Tone.GOOD),
            _line("wrong", figures.wrong, due, "another amount than the plan comes to", Tone.BAD),
            _line("missing", figures.missing, due, "due and not made", Tone.BAD),
            _count("twice", figures.twice, "of a meter and month billed already", Tone.BAD),
            _count("invented", figures.invented, "of no meter or month of the plan", Tone.BAD),
            _count(
                "explained",
                figures.explained,
                "of the wrong and missing ones follow from readings that the store lacks or has "
                "otherwise",
                Tone.DOUBT,
            ),
        ),
    )
    return SystemPart(
        key="bills",
        title="Bills",
        lead="Every bill was worked out a second time, from the plan and not from the store, and "
        "compared to the cent.",
        sentence=_bill_sentence(figures),
        tables=(table,),
        examples=figures.examples,
    )


def _bill_sentence(figures: BillFigures) -> str:
    months = f" for {', '.join(figures.months)}" if figures.months else ""
    fates = ", ".join(_bill_fates(figures))
    return f"{counted(figures.due, 'bill')} due{months}, {fates}{_made(figures)}"


def _made(figures: BillFigures) -> str:
    """Return how long the making of bills took, where billing says so, and how many a second."""
    if not figures.made_s:
        return ""
    made = figures.due - figures.missing
    return f"; made in {seconds(figures.made_s)}, {figure(made / figures.made_s)} bills/s"


def _bill_fates(figures: BillFigures) -> Iterator[str]:
    faults = [
        f"{count(n)} {name}"
        for name in ("wrong", "missing", "twice", "invented")
        if (n := getattr(figures, name))
    ]
    if not faults:
        yield "all of them right to the cent" if figures.due else "none made"
    yield from faults
