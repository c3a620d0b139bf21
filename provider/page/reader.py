# SPDX-License-Identifier: Apache-2.0
"""What the page asks the running daemon, over its admin socket, as every verb of the command line does."""

from pathlib import Path
from typing import Protocol

from trustedpods.provider.admin.reports.health_views import (
    EvidenceRequest,
    Health,
    HealthRequest,
    OwnEvidence,
)
from trustedpods.provider.admin.reports.views import Earnings, EarningsRequest, Offers, OffersRequest
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import Overview, OverviewRequest


class OperatorReader(Protocol):
    """Where the page's answers come from; each raises `NoContext` while no daemon answers."""

    async def health(self) -> Health:
        """How every part fares."""
        ...

    async def evidence(self) -> OwnEvidence:
        """What the machine proves of itself."""
        ...

    async def earnings(self, since: int) -> Earnings:
        """What was earned by day from *since* on (Unix seconds)."""
        ...

    async def pods(self, skip: int, most: int) -> Overview:
        """*most* pods behind the first *skip*, those in trouble first."""
        ...

    async def offers(self) -> Offers:
        """What is advertised, and why."""
        ...


class SocketReader:
    """Asks the daemon whose admin socket is at *path*."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def health(self) -> Health:
        """How every part fares."""
        return await ask_daemon(self._path, HealthRequest(), Health)

    async def evidence(self) -> OwnEvidence:
        """What the machine proves of itself."""
        return await ask_daemon(self._path, EvidenceRequest(), OwnEvidence)

    async def earnings(self, since: int) -> Earnings:
        """What was earned by day; what is not claimed yet as it was last computed."""
        return await ask_daemon(self._path, EarningsRequest(since=since, exact=False), Earnings)

    async def pods(self, skip: int, most: int) -> Overview:
        """Some pods, those in trouble first."""
        return await ask_daemon(self._path, OverviewRequest(skip=skip, most=most), Overview)

    async def offers(self) -> Offers:
        """What is advertised, and why."""
        return await ask_daemon(self._path, OffersRequest(), Offers)
