"""What a failed check usually means, and where to look next, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ACKNOWLEDGED_FIRST: Final = (
    "The head-end said that it has these readings, and it has not. It confirms before its commit "
    "is durable, or drops rows after it. Look at what happened to it between the confirmation and "
    "the end: a kill, a restart, a failed commit."
)
HINTS: Final[Mapping[str, str]] = {
    "readings.lost": "Sent, and in no row of the store when the drain was over. Where they were "
    "acknowledged, the head-end lost them; where not, the concentrator was still trying, or "
    "nobody fetched the gap: the end of the run came first, or the head-end refuses them.",
    "readings.lost_acknowledged": ACKNOWLEDGED_FIRST,
    "readings.wrong": "The store holds other values than the meter registered. Compare what was "
    "registered, carried and stored: where the numbers part is where they were changed.",
    "readings.late": "Stored, but after the step that their window opened with was over. Compare "
    "when the push was due, when it crossed the link and when the row was stored: the time went "
    "to the link and its retries, or to the head-end's queue and commit.",
    "readings.unattempted": "The generator owed these and never tried: it was too slow, or a fleet "
    "shard died. That says nothing about the head-end; see generator.lag.",
    "readings.duplicated": "One reading, several rows: the head-end stored an arrival again "
    "instead of knowing it, as after a retry whose first push had been stored.",
    "readings.invented": "Rows that no meter made or nobody sent: a wrong meter or time was "
    "attached to values, or another system writes into the store.",
    "readings.conflicts": "A reading arrived again with other values, and one of the two is false.",
    "readings.preloaded_wrong": "The store was given these before the run began, and lacks them or "
    "has them otherwise: whatever fills the store, or the store itself, is at fault; no link and "
    "no concentrator had them.",
    "readings.correct": "Owed and not stored as the meter registered it: lost, wrong or never "
    "tried.",
    "alarms.lost": "An alarm rides with the reading of its interval: follow that reading.",
    "alarms.wrong": "The store says something else of the alarm than its meter noted.",
    "replays.accepted": "The head-end confirmed old octets as if they were new: it does not keep "
    "the last invocation counter that it accepted of each concentrator, or forgets it.",
    "commands.lost": "No meter carried these out. Follow the command: was it sent, was the meter "
    "reachable, was it refused?",
    "commands.repeated": "A meter did the same command more than once: it was sent again although "
    "its first execution could have been found in the control log.",
    "batteries.beyond_limits": "A battery had a current or a charge that it is not built for. It "
    "refuses what is beyond its limits, so the emulated battery itself is at fault.",
    "batteries.unaccounted": "An entry of a battery's record does not follow from the one before: "
    "an entry lacks, or the charge was not moved by the current and the time.",
    "batteries.disobeyed": "A client was told that its command is accepted, and the batteries "
    "behind went on with something else. Compare what they were told with their record: an order "
    "was lost, came too late, or went to others; or somebody commands them who is no client.",
    "batteries.lost": "The layer's journal says that the battery carried an order out, and the "
    "battery has it nowhere. Compare the order's fate with the record around it: it was told of "
    "another order, or believed without an answer.",
    "batteries.twice": "A battery was given one order again: after an answer that got lost the "
    "layer must ask what is in force before it repeats itself.",
    "batteries.unconserved": "Virtual meters, orders and commands do not add up: look at the "
    "command and the orders before the moment that is named, in the journal.",
    "batteries.mixed_snapshots": "A snapshot tells a charge that was not there in its interval: "
    "look at the readings of the batteries behind it in the journal, and when they came.",
    "batteries.invented": "A battery was told something that is in no order: something left before "
    "it was in the journal, or somebody else commands the battery.",
    "batteries.commands_lost": "A client was told that its command is accepted, and the journal "
    "has never heard of it: it was confirmed before it was durable.",
    "bills.wrong": "Another amount than the plan asks for. Where a reading explains it, follow it; "
    "where none does, the billing system works it out otherwise: months and peak hours in "
    "local time, prices, rounding.",
    "bills.missing": "Due and not made: withheld for a reading that cannot be, not yet made when "
    "the run ended, or forgotten.",
    "bills.twice": "A meter was billed again for a month that it was billed for: the billing "
    "system does not know its own bills after a restart.",
    "bills.invented": "A bill of a meter or a month that the plan does not have.",
    "generator.lag": "The load generator began something later than its plan said, by more than "
    "limits.lag: latencies and lateness of this run may be its own fault and not the head-end's. "
    "Use a larger machine, fewer concentrators, a lower speed, or more Locust workers.",
}
BY_PREFIX: Final[Mapping[str, str]] = {
    "push.latency": "From when a push was due to its acknowledgement: the link, retries after "
    "broken connections, and the head-end's group commit are all in it.",
    "pull.latency": "From when a pull was to begin to its last answer: the link both ways, every "
    "block, and how many concentrators are asked at once.",
    "command.latency": "From when a command was due to its confirmation, waiting for the meter's "
    "window included.",
    "bal.status.latency": "From when a snapshot was to be asked for to its answer. Readings older "
    "than the allowed staleness are read anew first, over the batteries' links: a longer staleness "
    'or refresh = "active" takes that away from whoever asks.',
    "bal.command.latency": "From when a command was due to its acceptance: the readings that its "
    "split rests on, read anew where they are too old, and the commit of the journal. Not until "
    "batteries carry it out.",
    "association.latency": "From dialling to an open association: round trips on the link, and "
    "the cryptography of both ends.",
    "resources.": "The largest figure that the run's monitor saw.",
    "throughput.": "Readings stored a second of the steps, over what the meters make in real time.",
    "link.": "A link that is not what its profile says makes the run inconclusive: nobody knows "
    "what was tested. Look at the number of packets first: a rare loss needs many.",
}


def hint(check: str, *, all_acknowledged: bool = False) -> str:
    """Return what a check usually means when it fails; empty where there is nothing to say.

    ``all_acknowledged``: the head-end had confirmed all that is lost.
    """
    if check == "readings.lost" and all_acknowledged:
        return ACKNOWLEDGED_FIRST
    prefix = next((prefix for prefix in BY_PREFIX if check.startswith(prefix)), "")
    return HINTS.get(check) or BY_PREFIX.get(prefix, "")
