"""Every figure the engine exports; `ops/README.md` explains each. Names begin with the stem of what they measure.

With LIANKAO_METRICS_DIR set, all processes on the machine write there and any worker's `/metrics` shows the sum.
"""

from __future__ import annotations

import os

if os.environ.get("LIANKAO_METRICS_DIR"):  # the library reads its own variable once, at import
    os.environ.setdefault("PROMETHEUS_MULTIPROC_DIR", os.environ["LIANKAO_METRICS_DIR"])

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    generate_latest,
)
from prometheus_client.multiprocess import MultiProcessCollector

_SECONDS = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30)

autosave_changes = Counter("autosave_changes", "Changes saved, stale ones included")
autosave_calls = Counter("autosave_calls", "Save calls by how they came out", ["outcome"])
autosave_seconds = Histogram(
    "autosave_seconds", "From the arrival of a chunk's first save call to its answer", buckets=_SECONDS
)
autosave_chunk_calls = Histogram(
    "autosave_chunk_calls", "Save calls that shared one script call", buckets=(1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
)
autosave_waiting = Gauge("autosave_waiting", "Save calls waiting for their chunk", multiprocess_mode="livesum")
channel_open = Gauge("channel_open", "Open channels", multiprocess_mode="livesum")
channel_upgrades = Counter("channel_upgrades", "Requests for a channel by how they came out", ["outcome"])
channel_frames = Counter("channel_frames", "Messages of candidates on channels", ["type"])
channel_ends = Counter("channel_ends", "Channels that ended, by why", ["reason"])
channel_key_seconds = Histogram(
    "channel_key_seconds", "From the start to the paper key on its way to a channel open then", buckets=_SECONDS
)
release_failures = Counter("release_failures", "Times the key provider did not open a paper key that was due")
release_clocks_apart_seconds = Gauge(
    "release_clocks_apart_seconds", "Between the clocks of Redis and of a worker", multiprocess_mode="livemax"
)
photo_calls = Counter("photo_calls", "Photos sent by candidates, by how they came out", ["outcome"])
login_calls = Counter("login_calls", "Logins by how they came out", ["outcome"])
takeover_allowed = Counter("takeover_allowed", "Takeovers that a proctor has allowed")
events_recorded = Counter("events_recorded", "Events of candidates' pages on record, repeated ones included")
submit_calls = Counter("submit_calls", "Hand-ins by how they came out", ["outcome"])
requests = Counter("requests", "Other requests by route and status", ["route", "status"])
recorder_changes = Counter("recorder_changes", "Changes committed to PostgreSQL")
recorder_entries = Counter("recorder_entries", "Log entries committed to PostgreSQL")
recorder_lag_seconds = Gauge(
    "recorder_lag_seconds", "Age of the oldest log entry not yet in PostgreSQL", multiprocess_mode="livemax"
)
recorder_partitions = Gauge("recorder_partitions", "Partitions this recorder holds", multiprocess_mode="livesum")
recorder_failures = Counter("recorder_failures", "Recording rounds that failed and will be repeated", ["reason"])
recorder_mended = Counter("recorder_mended", "Partitions rebuilt or restored, by what had befallen them", ["stand"])
restore_responses = Counter("restore_responses", "Responses written back to PostgreSQL from Redis")
restore_contradictions = Counter("restore_contradictions", "Closed sittings of which Redis has newer responses")
recorder_unknown_sittings = Gauge(
    "recorder_unknown_sittings", "Sittings in Redis that PostgreSQL does not know", multiprocess_mode="livesum"
)
closer_sittings = Counter("closer_sittings", "Sittings written down as ended", ["state"])
grader_sittings = Counter("grader_sittings", "Sittings graded", ["state"])
grader_failures = Counter("grader_failures", "Grading rounds that failed and will be repeated", ["reason"])
courier_attempts = Counter("courier_attempts", "Messages sent to webhooks, by what came of it", ["outcome"])
courier_attempt_seconds = Histogram("courier_attempt_seconds", "From sending a message to its answer", buckets=_SECONDS)
courier_waiting = Gauge("courier_waiting", "Deliveries that wait for a webhook", multiprocess_mode="livemax")
courier_oldest_seconds = Gauge(
    "courier_oldest_seconds", "How long the oldest of them has been waiting", multiprocess_mode="livemax"
)
courier_dead = Gauge("courier_dead", "Deliveries given up and not replayed", multiprocess_mode="livemax")
courier_given_up = Counter("courier_given_up", "Deliveries given up")
courier_failures = Counter("courier_failures", "Rounds that failed and will be repeated", ["reason"])


def exposition() -> tuple[bytes, str]:
    """The Prometheus text of all processes, and its content type."""
    if not os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        return generate_latest(REGISTRY), CONTENT_TYPE_LATEST
    registry = CollectorRegistry()
    MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry), CONTENT_TYPE_LATEST
