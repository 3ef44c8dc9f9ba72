"""Builds the web app: services, middleware, error handlers, routers. No logic."""

import gc
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from fastapi import FastAPI
from starlette.formparsers import MultiPartParser

from civicpulse import __version__
from civicpulse.accounts.tokens import TokenBook
from civicpulse.audit.jobs import measure as measure_chains
from civicpulse.base.clients.senders import build_sender
from civicpulse.base.clients.storage import Storage
from civicpulse.base.doors.bodies import Doorway
from civicpulse.base.doors.health import Health
from civicpulse.base.doors.health import router as health
from civicpulse.base.doors.observe import Observe
from civicpulse.base.doors.ratelimit import RateLimiter
from civicpulse.base.log import configure_logging
from civicpulse.base.services import calls_patience, open_services
from civicpulse.base.web import GzipReads, add_error_handlers, complete_openapi
from civicpulse.centre.api import router as pipeline
from civicpulse.centre.tickets.api import router as tickets
from civicpulse.duplicates.api import router as duplicates
from civicpulse.insight.api import router as insight
from civicpulse.insight.scores.api import router as scores
from civicpulse.intake.api import router as intake
from civicpulse.notify.api import router as notify
from civicpulse.packs.api import router as packs
from civicpulse.people.api import router as people
from civicpulse.places.api import router as places
from civicpulse.places.configuration import router as config
from civicpulse.portal.pages import mount_portal
from civicpulse.privacy.api import router as privacy
from civicpulse.reports.api import router as inbox
from civicpulse.reports.api_issues import router as issues
from civicpulse.reports.writer import InboxWriter
from civicpulse.requests.api import router as requests
from civicpulse.requests.assignment.api import router as assignments
from civicpulse.requests.files import router as files
from civicpulse.requests.privacy.redacting import router as redacting
from civicpulse.settings import Settings, get_settings
from civicpulse.triage.api import router as triage

SPOOLED_BYTES = 16 * 1024  # of each file of a form that are held in memory; a form may have a thousand

DESCRIPTION = """Service requests: intake, workflow, SLA clock, duplicates, assignment, audit, analytics.

Send a token as `Authorization: Bearer …`; without one you are anonymous and may report and read what is public.
Errors are RFC 9457 problem documents with a stable `code`. Every path also answers under `/api`."""


def _lifespan(settings: Settings) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_services(settings, patience=calls_patience(settings)) as services:
            app.state.services = services
            app.state.tokens = TokenBook(services.db)
            app.state.inbox = InboxWriter(services.db)
            app.state.health = Health(services.db, [measure_chains])
            app.state.sender = build_sender(settings)
            app.state.storage = Storage(settings.storage_url)
            app.state.limiter = RateLimiter(
                writes_per_minute=settings.anonymous_writes_per_minute,
                reads_per_minute=settings.anonymous_reads_per_minute,
            )
            # What was loaded stays: the collector need not look at it again and again. Worth a tenth of a report's cost.
            gc.collect()
            gc.freeze()
            try:
                yield
            finally:
                await app.state.health.close()

    return lifespan


def create_app(settings: Settings | None = None) -> FastAPI:
    """Makes the web app for `settings` (default: the environment's)."""
    if settings is None:
        settings = get_settings()
        configure_logging(settings.log_level)  # here too: each of several uvicorn workers is a process of its own
    app = FastAPI(
        title="CivicPulse",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_lifespan(settings),
        redirect_slashes=False,
        docs_url=None,  # the portal serves it, from our own origin
        redoc_url=None,
    )
    add_error_handlers(app)
    for router in (
        inbox,  # routes are tried in turn: what comes most and has to be quickest stands first
        intake,
        health,
        tickets,
        pipeline,
        issues,
        requests,
        files,
        redacting,
        assignments,
        people,
        privacy,
        packs,
        config,
        places,
        insight,
        scores,
        notify,
        triage,
        duplicates,
    ):
        # Flat, not nested: one match per request, and the tests that walk the routes see each of them.
        app.router.routes.extend(router.routes)
    mount_portal(app)
    complete_openapi(app)
    MultiPartParser.spool_max_size = SPOOLED_BYTES
    app.add_middleware(GzipReads, minimum_size=4096, compresslevel=4)
    app.add_middleware(Observe)
    app.add_middleware(
        Doorway, body_limit_bytes=settings.body_limit_bytes, upload_limit_bytes=settings.upload_limit_bytes
    )
    return app
