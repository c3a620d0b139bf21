# SPDX-License-Identifier: Apache-2.0
"""`overview`: all that a page shows of a pod, asked in one visit that changes nothing."""

from trustedpods.protocol.errors import RemoteProtocolError, TrustedPodsError
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.errors import ErrorReport
from trustedpods.publisher.results.pods import BillResult, LogPiece, VisitProgress
from trustedpods.publisher.results.watched import OverviewResult
from trustedpods.publisher.verbs.bill import bill_of
from trustedpods.publisher.verbs.pods import logs_of, status_of, visit
from trustedpods.publisher.visits.visit import Visit

MAX_LOG = 4 * MIB
"""What is kept of the lines that were asked for, some hundred: a page keeps this for many pods."""

PIECE = 256
"""Bytes that a piece costs beside its data: empty ones have no end either."""


async def overview(
    account: MarketAccount, name: str, wanted: LogsBody, progress: VisitProgress, journal: Journal
) -> OverviewResult:
    """What `status` says, the *wanted* lines of a container, and its bill.

    Raises as `status`; that there are no lines or no bill is told in their place. Unlike other visits
    it neither releases a pod after a reboot of its provider nor moves its channel.
    """
    async with visit(account, name, progress, journal, ended=True, mend="nothing") as visited:
        return OverviewResult(
            status=await status_of(visited, progress),
            log=await _log(visited, wanted),
            bill=await _bill(visited, progress),
        )


async def _log(visited: Visit, wanted: LogsBody) -> tuple[LogPiece, ...] | ErrorReport:
    if visited.location.channel is None:
        return ()
    pieces: list[LogPiece] = []
    left = MAX_LOG

    def keep(piece: LogPiece) -> None:
        nonlocal left
        left -= len(piece.data) + PIECE
        if left < 0:
            raise RemoteProtocolError(f"the provider sends more than {MAX_LOG // MIB} MiB of lines")
        pieces.append(piece)

    try:
        await logs_of(visited, wanted, keep)
    except TrustedPodsError as error:
        return ErrorReport.of(error)
    return tuple(pieces)


async def _bill(visited: Visit, progress: VisitProgress) -> BillResult | ErrorReport:
    try:
        return await bill_of(visited, None, progress)
    except TrustedPodsError as error:
        return ErrorReport.of(error)
