# SPDX-License-Identifier: Apache-2.0
"""Counts how long pods could be served and took to wake, signs it, and has the facade show it."""

import base64
import logging

import trio

from trustedpods.contracts.records import TokenInfo
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.messages.provider import Figures, SignedFigures
from trustedpods.protocol.sealing.replies import sign_figures
from trustedpods.provider.doors import Doors
from trustedpods.provider.public.figures import DAY_S, figures_of, sums_of
from trustedpods.provider.public.page import MAX_BYTES, page_html, page_json
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.operator import service_days
from trustedpods.provider.store.operator.service_days import DayCount

_log = logging.getLogger(__name__)

BEAT_S = 300
"""How often it is counted, signed and shown: a kill loses no more than this of the time that was served."""

SILENT_S = 120
"""Cluster or facade did not answer for so long: pods could not be served. As in the alert FactSilent."""

NEEDED = ("cluster", "facade")
"""What must answer: without the chain pods are served on."""


class ServiceCount:
    """Of this daemon, with its coded *profile*. `signed` is what was signed last; None before that."""

    def __init__(self, doors: Doors, profile: bytes) -> None:
        self._doors, self._profile = doors, profile
        self._counted_to = doors.now()
        self._counted: tuple[int, int, tuple[int, ...]] = (0, 0, ())
        self._token: TokenInfo | None = None
        self._shown = True
        self.signed: SignedFigures | None = None

    async def run(self) -> None:
        """Count for ever."""
        while True:
            try:
                await self.look()
            except TrustedPodsError as error:
                _log.warning("what is said of the service in public is not renewed: %s", error)
            await trio.sleep(BEAT_S)

    async def look(self) -> None:
        """Count once, sign, and show. StoreFailure where the books take nothing: it is counted later."""
        now = self._doors.now()
        starts = self._cold_starts()
        days = await self._doors.store.write(_added, self._since(now, starts))
        self._counted_to, self._counted = now, starts
        tcp = self._doors.config.facade.pools.tcp > 0
        figures = figures_of(self._profile, sums_of(days, now), now, tcp=tcp)
        self.signed = sign_figures(self._doors.keys.reply, figures)
        await self._show(figures, self.signed)

    def _since(self, now: int, starts: tuple[int, int, tuple[int, ...]]) -> DayCount:
        """What came since the last look; it belongs to the day of its end."""
        passed = min(max(0, now - self._counted_to), 2 * BEAT_S)
        (count, ms, within), (count_before, ms_before, before) = starts, self._counted
        padded = before if len(before) == len(within) else (0,) * len(within)
        return DayCount(
            day=now // DAY_S,
            began=now - passed,
            up_s=passed if self._serves(now) else 0,
            cold_starts=count - count_before,
            cold_start_ms=ms - ms_before,
            within=tuple(after - earlier for after, earlier in zip(within, padded, strict=True)),
        )

    def _serves(self, now: int) -> bool:
        answered = self._doors.metrics.counts().answered
        return all(now - answered.get(fact, 0) <= SILENT_S for fact in NEEDED)

    def _cold_starts(self) -> tuple[int, int, tuple[int, ...]]:
        """Since the daemon began: how many, milliseconds together, how many within each bound."""
        counts = self._doors.metrics.counts()
        *within, count = (many for _, many in counts.cold_starts)
        return count, round(1000 * counts.cold_start_seconds), tuple(within)

    async def _show(self, figures: Figures, signed: SignedFigures) -> None:
        if self._token is None:
            self._token = await self._token_info()
        key = self._doors.keys.reply.public_key().public_bytes_raw()
        pages = {"/": page_html(figures, self._token), "/provider.json": page_json(figures, signed, key)}
        host = figures.domain.lower()
        told = {
            f"{host}{path}": base64.b64encode(page).decode()
            for path, page in pages.items()
            if len(page) <= MAX_BYTES
        }
        try:
            await self._doors.facade.show_public(told)
        except Refused as error:  # an older haproxy.cfg: said once
            if self._shown:
                _log.warning("the public page is not shown: %s", error)
            self._shown = False

    async def _token_info(self) -> TokenInfo | None:
        try:
            return await self._doors.chain.token_info()
        except TrustedPodsError:
            return None


def _added(tx: Tx, more: DayCount) -> tuple[DayCount, ...]:
    service_days.add(tx, more)
    return service_days.load(tx)
