# SPDX-License-Identifier: Apache-2.0
"""`network logs`: the last lines of every node."""

from collections.abc import Mapping, Sequence

from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.protocol.networks.members import NetworkName
from trustedpods.publisher.core.select import Choice
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.results.networks import NetworkId, NetworkLogsResult
from trustedpods.publisher.results.pods import LogPiece, LogsResult, VisitProgress
from trustedpods.publisher.verbs import pods
from trustedpods.publisher.verbs.networks.whole.nodes import of_each, own_pods, view_of


async def logs(
    account: MarketAccount,
    network: NetworkName,
    known: Mapping[str, Choice],
    wanted: Sequence[str],
    body: LogsBody,
    journal: Journal,
) -> NetworkLogsResult:
    """The lines that *body* asks for, of the *wanted* nodes or of all that are one's own, side by side."""
    view = await view_of(account, network, known, journal)

    async def read(pod: str) -> LogsResult:
        pieces: list[LogPiece] = []
        done = await pods.logs(account, pod, body, pieces.append, VisitProgress(), journal)
        return LogsResult(done.pod, tuple(pieces))

    found = await of_each(own_pods(account, view, wanted), read)
    return NetworkLogsResult(NetworkId(network.founder, network.name), found)
