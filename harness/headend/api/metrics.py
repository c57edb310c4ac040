"""Prometheus metrics: of the shards, as they are when asked, and of the API itself.

Labels are bounded: shards, the names of counters, routes. Meters never are labels.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from fastapi import APIRouter, Request, Response
from hdrh.histogram import HdrHistogram
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from harness.headend.api.queries import Asked

METHODS: Final = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
QUANTILES: Final = (0.5, 0.9, 0.99)
EVENT_NAMES_MAX: Final = 200
GAUGES: Final = {
    "missing": ("meterstorm_headend_missing_readings", "Captured readings that have not arrived"),
    "conflicts": (
        "meterstorm_headend_conflicting_readings",
        "Arrivals kept aside because another reading was there; of the whole store",
    ),
    "alarm_conflicts": (
        "meterstorm_headend_conflicting_alarms",
        "Arrivals kept aside because another alarm was there; of the whole store",
    ),
    "nodes_registered": ("meterstorm_headend_registered_nodes", "Nodes registered now"),
    "size_bytes": ("meterstorm_headend_store_bytes", "Octets of the store on disk"),
}

router: Final = APIRouter(tags=["operation"])
ShardStatus = dict[str, Any]


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(head_end: Asked, request: Request) -> Response:
    """How the head-end is, for Prometheus."""
    statuses = [
        None if isinstance(status, Exception) else status for status in await head_end.statuses()
    ]
    registry = CollectorRegistry()
    registry.register(_Shards(statuses))
    own: RequestMetrics = request.app.state.request_metrics
    text = generate_latest(registry) + generate_latest(own.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


class RequestMetrics:
    """Counts and times requests by route, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "meterstorm_api_requests",
            "Requests answered",
            ("method", "route", "status"),
            registry=self.registry,
        )
        self._duration = Histogram(
            "meterstorm_api_request_duration_seconds",
            "Time until a request was answered whole",
            ("route",),
            registry=self.registry,
        )

    def note(self, scope: Scope, status: int, duration_s: float) -> None:
        """Note a request; what leads nowhere is one route."""
        route = getattr(scope.get("route"), "path", "none")
        method = scope["method"] if scope["method"] in METHODS else "other"
        self._requests.labels(method, route, str(status)).inc()
        self._duration.labels(route).observe(duration_s)


class Measured:
    """Notes every request of an application."""

    def __init__(self, app: ASGIApp, noted: RequestMetrics) -> None:
        self._app = app
        self._noted = noted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on and note how it ended."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        status = 500

        async def send_noting(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._app(scope, receive, send_noting)
        finally:
            self._noted.note(scope, status, time.monotonic() - began)


class _Shards(Collector):
    """The shards' own numbers; those of a shard that is away are left out."""

    def __init__(self, statuses: Sequence[ShardStatus | None]) -> None:
        self._all = [(str(shard), status) for shard, status in enumerate(statuses)]
        self._up = [(shard, status) for shard, status in self._all if status is not None]

    def collect(self) -> Iterator[Metric]:
        """Return one family after another."""
        up = GaugeMetricFamily("meterstorm_headend_up", "Whether a shard answers", labels=["shard"])
        for shard, status in self._all:
            up.add_metric([shard], float(status is not None))
        yield up
        for key, (name, text) in GAUGES.items():
            gauge = GaugeMetricFamily(name, text, labels=["shard"])
            for shard, told in self._up:
                if key in told:
                    gauge.add_metric([shard], told[key])
            yield gauge
        yield from self._commits()
        yield self._events()
        yield self._commit_durations()

    def _commits(self) -> Iterator[Metric]:
        for name in self._up[0][1]["commits"] if self._up else ():
            family = CounterMetricFamily(
                f"meterstorm_headend_{name}",
                f"{name.replace('_', ' ').capitalize()} since the shard started",
                labels=["shard"],
            )
            for shard, status in self._up:
                family.add_metric([shard], status["commits"][name])
            yield family

    def _events(self) -> Metric:
        family = CounterMetricFamily(
            "meterstorm_headend_events",
            "What the shard counted since it started",
            labels=["shard", "event"],
        )
        for shard, status in self._up:
            for name in sorted(status["counts"])[:EVENT_NAMES_MAX]:
                event = re.sub(r"\W+", "_", name).strip("_").lower()
                family.add_metric([shard, event], status["counts"][name])
        return family

    def _commit_durations(self) -> Metric:
        family = GaugeMetricFamily(
            "meterstorm_headend_commit_duration_seconds",
            "Durable commits since the shard started",
            labels=["shard", "quantile"],
        )
        for shard, status in self._up:
            commits = HdrHistogram.decode(status["commit_us"])
            for quantile in QUANTILES if commits.total_count else ():
                value_us = commits.get_value_at_percentile(quantile * 100)
                family.add_metric([shard, str(quantile)], value_us / 1e6)
        return family
