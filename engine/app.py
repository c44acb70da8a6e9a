"""The worker: route table and lifespan; no logic, no sockets.

The hot route is a plain ASGI callable, matched before Starlette's router: nothing stands between socket and handler.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from engine import attestation, log, metrics, openapi, readiness
from engine.delivery import channel_upgrade, login, paper, sitting, submit
from engine.delivery.autosave import Autosave
from engine.delivery.channel_watch import Channels
from engine.delivery.resources import Delivery
from engine.invigilation import device, events, photo, photo_check, probe, rooms, seats, takeover
from engine.invigilation.resources import Invigilation
from engine.patience import Patience
from engine.protocol import HOT_PATH, SaveHeads
from engine.rules.addresses import read_networks
from engine.rules.errors import ExamError, Refused, TryLater
from engine.scheduling import (
    arming,
    batches,
    disarming,
    key_changes,
    logbook,
    package,
    papers,
    room_lists,
    roster,
    seating,
    sites,
)
from engine.scheduling.resources import Scheduling
from engine.scheduling.roster_reader import RosterReader
from engine.scheduling.sealer import Sealer
from engine.scoring import (
    assessments,
    deliveries,
    flags,
    regrades,
    release,
    results,
    score_reviews,
    statistics,
    webhooks,
)
from engine.sealing import secrets
from engine.sealing.provider import FileProvider, open_provider
from engine.sealing.signature import Signer
from engine.settings import Settings
from engine.stores.api_keys import KnownKeys
from engine.stores.memory import Memory
from engine.stores.postgres import Postgres
from engine.web import pages
from engine.wire import problem_response

_MEASURE_EVERY_S = 1.0
_CLOCKS_EVERY_S = 5.0


def routes() -> list[Route]:
    """Every path of the contract but the hot one."""
    return [
        Route("/v1/login", login.log_in, methods=["POST"]),
        Route("/v1/sitting", sitting.show),
        Route("/v1/sitting/confirm", sitting.confirm, methods=["POST"]),
        Route("/v1/sitting/pledge", sitting.pledge, methods=["POST"]),
        Route("/v1/sitting/photo", photo.take, methods=["POST"]),
        Route("/v1/sitting/paper-key", paper.show_key),
        Route("/v1/sitting/submit", submit.submit, methods=["POST"]),
        Route("/v1/sitting/receipt", submit.show_receipt),
        Route("/v1/sitting/events", events.report, methods=["POST"]),
        Route("/v1/sitting/probe", probe.show),
        Route("/v1/sitting/probe", probe.take, methods=["POST"]),
        Route("/v1/sitting/device", device.keep, methods=["POST"]),
        Route("/v1/device", device.look, methods=["POST"]),
        Route("/v1/sealed/{digest}", paper.show_sealed),
        Route(channel_upgrade.PATH, channel_upgrade.show_offer),  # the channel itself begins in protocol.py
        Route("/v1/papers/{paper_id}", papers.put_paper, methods=["PUT"]),
        Route("/v1/papers/{paper_id}", papers.show_paper),
        Route("/v1/sites", sites.show_many),
        Route("/v1/sites/{site_id}", sites.put_site, methods=["PUT"]),
        Route("/v1/sites/{site_id}", sites.show),
        Route("/v1/sites/{site_id}", sites.remove, methods=["DELETE"]),
        Route("/v1/batches", batches.show_many),
        Route("/v1/batches/{batch_id}", batches.put_batch, methods=["PUT"]),
        Route("/v1/batches/{batch_id}", batches.show),
        Route("/v1/batches/{batch_id}/roster", roster.put_roster, methods=["PUT"]),
        Route("/v1/batches/{batch_id}/seating", seating.seat, methods=["POST"]),
        Route("/v1/batches/{batch_id}/lists/{list}", room_lists.show),
        Route("/v1/batches/{batch_id}/arm", arming.arm, methods=["POST"]),
        Route("/v1/batches/{batch_id}/disarm", disarming.disarm, methods=["POST"]),
        Route("/v1/batches/{batch_id}/log", logbook.show),
        Route("/v1/batches/{batch_id}/release", release.release, methods=["POST"]),
        Route("/v1/batches/{batch_id}/devices", device.show_room),
        Route("/v1/batches/{batch_id}/devices", device.keep_management, methods=["POST"]),
        Route("/v1/batches/{batch_id}/devices/probe", probe.show_management),
        Route("/v1/batches/{batch_id}/devices/probe", probe.take_management, methods=["POST"]),
        Route("/v1/batches/{batch_id}/results", results.show_batch_results),
        Route("/v1/batches/{batch_id}/assessments", assessments.show_tasks),
        Route("/v1/batches/{batch_id}/assessments", assessments.take_marks, methods=["POST"]),
        Route("/v1/batches/{batch_id}/reviews", score_reviews.show_many),
        Route("/v1/sittings/{sitting_id}/review", score_reviews.file, methods=["POST"]),
        Route("/v1/sittings/{sitting_id}/review", score_reviews.show),
        Route("/v1/sittings/{sitting_id}/review/answer", score_reviews.answer, methods=["POST"]),
        Route("/v1/batches/{batch_id}/regrades", key_changes.propose, methods=["POST"]),
        Route("/v1/batches/{batch_id}/regrades", regrades.show_many),
        Route("/v1/batches/{batch_id}/regrades/{regrade_id}", regrades.show),
        Route("/v1/batches/{batch_id}/regrades/{regrade_id}/apply", regrades.apply, methods=["POST"]),
        Route("/v1/batches/{batch_id}/regrades/{regrade_id}/drop", regrades.drop, methods=["POST"]),
        Route("/v1/batches/{batch_id}/statistics", statistics.show),
        Route("/v1/batches/{batch_id}/statistics/flags", flags.explain, methods=["POST"]),
        Route("/v1/batches/{batch_id}/rooms", rooms.show_rooms),
        Route("/v1/batches/{batch_id}/seats", seats.show),
        Route("/v1/batches/{batch_id}/events", events.show_feed),
        Route("/v1/invigilation", rooms.show_batches),
        Route("/v1/sittings/{sitting_id}/takeover", takeover.allow, methods=["POST"]),
        Route("/v1/results", results.show_feed),
        Route("/v1/sittings/{sitting_id}/responses", results.show_responses),
        Route("/v1/sittings/{sitting_id}/history", results.show_history),
        Route("/v1/batches/{batch_id}/photos", photo_check.show_many),
        Route("/v1/sittings/{sitting_id}/photo", photo_check.show_jpeg),
        Route("/v1/sittings/{sitting_id}/photo/check", photo_check.check, methods=["POST"]),
        Route("/v1/sittings/{sitting_id}/photo/waive", photo_check.waive, methods=["POST"]),
        Route("/v1/webhooks", webhooks.show_webhooks),
        Route("/v1/webhooks/{webhook_id}", webhooks.put_webhook, methods=["PUT"]),
        Route("/v1/webhooks/{webhook_id}", webhooks.show_webhook),
        Route("/v1/webhooks/{webhook_id}", webhooks.delete_webhook, methods=["DELETE"]),
        Route("/v1/webhooks/{webhook_id}/enable", webhooks.enable_webhook, methods=["POST"]),
        Route("/v1/webhooks/{webhook_id}/deliveries", deliveries.show_deliveries),
        Route("/v1/webhooks/{webhook_id}/replay", deliveries.replay, methods=["POST"]),
        Route("/v1/keys", readiness.show_keys),
        Route("/v1/node", attestation.show),
        Route("/healthz", readiness.show_health),
        Route("/readyz", readiness.show_readiness),
        Route("/metrics", readiness.show_metrics),
        Route("/openapi.json", openapi.show),
        *pages.routes(),
    ]


class Worker:
    """The ASGI application of one process. `warnings`: what readiness tells beside what it needs."""

    def __init__(self, settings: Settings, warnings: Mapping[str, str]) -> None:
        self._settings = settings
        # Called with the seconds they have when this worker stops; each moves what lives longer than a request over.
        self.drains: list[Callable[[float], Awaitable[None]]] = []
        signer = Signer(secrets.read(settings.secrets_dir, "receipt.key"))
        login_key = secrets.read(settings.secrets_dir, "login.key")
        provider = open_provider(settings)
        package_keys = package.trusted_keys(settings.package_keys)
        token_key = secrets.read(settings.secrets_dir, "token.key")
        self._memory = Memory(settings.redis_url, settings.partitions)
        self._database = Postgres(settings.dsn_of("engine"), settings.postgres_connections, plans_afresh=True)
        self._sealer = Sealer(settings)
        self._roster_reader = RosterReader()
        delivery = Delivery(self._memory, token_key, login_key, provider, signer)
        self.autosave = Autosave(delivery)
        self.save_heads = SaveHeads()
        self.patience = Patience()
        self.channels = Channels(delivery, self.autosave)
        self.drains.append(self.channels.drain)
        self._rest = Starlette(
            routes=routes(),
            lifespan=self._lifespan,
            exception_handlers={ExamError: _refuse, HTTPException: _refuse_http, Exception: _fail},
        )
        self._rest.router.redirect_slashes = False  # a path is right or there is nothing at it
        state = self._rest.state
        state.delivery = delivery
        state.scheduling = Scheduling(
            self._database, self._memory, login_key, self._sealer, self._roster_reader, package_keys
        )
        state.scoring = results.Scoring(self._database)
        webhook_key = secrets.read(settings.secrets_dir, "webhook.key")
        state.pushing = webhooks.Pushing(
            self._database, FileProvider(webhook_key), read_networks(settings.courier_networks)
        )
        state.invigilation = Invigilation(self._database, self._memory, delivery)
        state.known_keys = KnownKeys(self._database)
        self.readiness = readiness.Readiness(self._database, self._memory, signer, warnings)
        state.readiness = self.readiness
        shared = {"token.key": token_key, "login.key": login_key, "webhook.key": webhook_key}
        if settings.key_provider == "file":
            shared["wrap.key"] = secrets.read(settings.secrets_dir, "wrap.key")
        state.attestation = attestation.Attestation(settings, self._memory, self.readiness, shared)
        self._counted = _count_requests(self._rest)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"] == HOT_PATH and scope["method"] == "POST":
            await self.autosave(scope, receive, send)
        else:
            await self._counted(scope, receive, send)

    @contextlib.asynccontextmanager
    async def _lifespan(self, _: Starlette) -> AsyncIterator[None]:
        log.logger().info("worker.started", port=self._settings.port)
        loops = [asyncio.create_task(loop) for loop in (self._measure(), self._compare_clocks(), self.patience.watch())]
        yield
        for loop in loops:
            loop.cancel()
        await self.channels.close()
        await self.autosave.drain()
        await self._memory.close()
        await self._database.close()
        self._sealer.close()
        self._roster_reader.close()
        log.logger().info("worker.stopped")

    async def _measure(self) -> None:
        while True:
            self.autosave.measure()
            await asyncio.sleep(_MEASURE_EVERY_S)

    async def _compare_clocks(self) -> None:
        """Tell when paper keys would wait for one of two clocks; before a start there is time to mend it."""
        while True:
            warning = ""
            try:
                warning = await self.channels.delivery.release.clock_warning()
            except TryLater:
                pass  # readiness says that Redis is away
            except Exception:
                log.logger().exception("release.clocks_not_compared")
            self.readiness.warnings.pop("clock", None)
            if warning:
                self.readiness.warnings["clock"] = warning
            await asyncio.sleep(_CLOCKS_EVERY_S)


def _count_requests(app: ASGIApp) -> ASGIApp:
    """Counts answers by route template, so that ids do not make a metric each."""

    async def counted(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await app(scope, receive, send)
            return

        async def sending(message: dict[str, object]) -> None:
            if message["type"] == "http.response.start":
                route = scope.get("route")
                template = route.path if isinstance(route, Route) else "unknown"
                metrics.requests.labels(template, str(message["status"])).inc()
            await send(message)

        await app(scope, receive, sending)  # type: ignore[arg-type]

    return counted


async def _refuse(_: Request, error: Exception) -> Response:
    assert isinstance(error, ExamError)
    return problem_response(error)


async def _refuse_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    path = request.scope["path"]
    if error.status_code == 405 or path == HOT_PATH:
        answer = problem_response(Refused("method.not_allowed", f"{request.method} is not for {path[:200]}"))
        answer.headers["allow"] = ", ".join(_allowed(request))
        return answer
    if error.status_code == 404:
        return problem_response(Refused("not_found", f"there is nothing at {path[:200]}"))
    return problem_response(Refused("request.malformed", str(error.detail)))


def _allowed(request: Request) -> list[str]:
    """Every method of a path; Starlette names those of the first route that has it."""
    if request.scope["path"] == HOT_PATH:
        return ["POST"]
    found: set[str] = set()
    for route in request.app.routes:
        if isinstance(route, Route) and route.methods and route.matches(request.scope)[0] != Match.NONE:
            found |= route.methods
    return sorted(found)


async def _fail(request: Request, error: Exception) -> Response:
    log.logger().error("request.internal", method=request.method, path=request.scope["path"], exc_info=error)
    answer = problem_response(
        ExamError("internal", f"{type(error).__name__}; what was asked may or may not have happened")
    )
    answer.headers["connection"] = (
        "close"  # the server cuts it behind an exception: nobody sends the next request there
    )
    return answer
