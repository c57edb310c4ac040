"""The exchanges as the link model has them: no time passes."""

from __future__ import annotations

from netem.model import LinkIdentity, LinkModel, LinkStatistics, LinkTimeout
from netem.model.delay import NANOSECONDS
from netem.profiles import LinkProfile
from tests.calibration.job import ANSWER_OCTETS, SIZES, Job, Outcome, Sample


def model_exchanges(job: Job) -> Outcome:
    """Return what the model makes of ``job``; equal jobs have equal outcomes."""
    links = zip(job.profiles, job.links(), strict=True)
    return Outcome({name: _sample(job, link) for name, link in links})


def _sample(job: Job, link: LinkProfile) -> Sample:
    sample = Sample()
    for client in range(job.clients):
        for exchange, octets in enumerate(SIZES, start=1):
            # A connection of its own, as in the other tiers.
            identity = LinkIdentity(job.seed, client, "push")
            statistics = LinkStatistics(link.name)
            model = LinkModel(link, job.options, identity, statistics)
            model.begin_exchange(exchange, 0)
            _exchange(model, statistics, octets, sample)
    return sample


def _exchange(model: LinkModel, statistics: LinkStatistics, octets: int, sample: Sample) -> None:
    try:
        established_ns = model.connect(0).established_ns
    except LinkTimeout:
        sample.unfinished += 1
        return
    up = model.transfer("up", established_ns, octets)
    if up.broken_ns is not None:
        sample.unfinished += 1
        return
    down = model.transfer("down", up.releases[-1][0], ANSWER_OCTETS)
    if down.broken_ns is not None:
        sample.unfinished += 1
        return
    took_ns = down.releases[-1][0] - established_ns
    sample.add(
        octets, established_ns / NANOSECONDS, took_ns / NANOSECONDS, statistics.up.retransmitted
    )
