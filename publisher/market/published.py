# SPDX-License-Identifier: Apache-2.0
"""A market's file as whoever runs the market publishes it: fetched once, checked, and kept.

It says which contracts get the money, so nothing of it is believed that can be looked at: that its contracts
are the packaged ones is seen on its chain before it is kept. Whose market it is, only its digest tells.
"""

import hashlib
import time
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import trio

from trustedpods.contracts.deploy import unlike_source
from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import BadInput, NetworkFailure, Refused
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.whole_file import private_folder, replace_whole
from trustedpods.publisher.context import MarketFile, parse_market

TOKEN = "TestToken"  # noqa: S105 - a contract's name
"""Of a market that is real the token is somebody's own ERC-20."""

FOLDER = "markets"
"""Below the user's folder of settings."""

MAX_BYTES = 64 * KIB
"""A market file has a few hundred bytes; this is what any file of settings may have."""

LOCAL = ("localhost", "127.0.0.1", "::1")
"""This machine, which may be asked without TLS: no proxy hears it either."""

ANSWER_S = 10.0
"""Between two pieces of an answer."""

WHOLE_S = 30.0
"""For the whole of it: so small a file comes at once, or its server keeps it back."""


@dataclass(frozen=True, slots=True)
class FetchedMarket:
    """A market file as it came: its bytes and what they say."""

    data: bytes
    file: MarketFile

    @property
    def sha256(self) -> str:
        """Of the bytes, in hexadecimal: what tells this market of another."""
        return hashlib.sha256(self.data).hexdigest()


async def fetch(url: str, sha256: str | None, place: Path) -> FetchedMarket:
    """The market file at *url*, to be kept at *place*.

    Raises BadInput for another digest than *sha256*, for what is no market file, and for one of simulated
    hardware, which proves nothing; NetworkFailure where it does not come.
    """
    data = await trio.to_thread.run_sync(_download, url, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise BadInput(
            f"its sha256 is {found}, not the one that was given", where=url, hint="nothing was kept"
        )
    try:
        file = parse_market(data, place)
    except BadInput as error:
        raise BadInput(error.what, where=url, hint=error.hint) from None
    if file.simulated_root is not None:
        raise BadInput(
            "its hardware is simulated, and proves nothing",
            where=url,
            hint="for a localnet of yours name its file: --market FILE",
        )
    return FetchedMarket(data, file)


async def check_contracts(file: MarketFile, url: str) -> None:
    """Refused (rule `market-code`) where its chain has other code there than that of the packaged contracts.

    NetworkFailure where its node does not answer.
    """
    market = Market(file.chain_id, file.payments, file.registry, file.token, file.finality_blocks)
    differing = [name for name in await unlike_source(file.rpc, market) if name != TOKEN]
    if differing:
        raise Refused(
            f"its {' and '.join(differing)} at {file.rpc} are not the contracts of this version",
            where=url,
            rule="market-code",
            hint="ask whoever runs the market which version it is for; nothing was kept",
        )


def keep(fetched: FetchedMarket) -> None:
    """Write it to its place, whole or not at all. Raises BadInput where it cannot be written."""
    place = fetched.file.path
    try:
        private_folder(place.parent)
        replace_whole(place, fetched.data)
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(place)) from None


def _download(url: str) -> bytes:
    local = _host(url) in LOCAL
    deadline, data = time.monotonic() + WHOLE_S, bytearray()
    headers = {"user-agent": "trustedpods", "accept-encoding": "identity"}
    try:
        with (
            httpx.Client(timeout=ANSWER_S, trust_env=not local, follow_redirects=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise NetworkFailure(f"it was answered with status {answer.status_code}", where=url)
            for piece in answer.iter_raw():
                data += piece
                if len(data) > MAX_BYTES:
                    raise BadInput(f"it is larger than {MAX_BYTES // KIB} KiB", where=url)
                if time.monotonic() > deadline:
                    raise NetworkFailure(f"it did not come within {WHOLE_S:g} s", where=url, rule="timeout")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise NetworkFailure(
            f"it cannot be fetched: {str(error) or type(error).__name__}", where=url
        ) from None
    return bytes(data)


def _host(url: str) -> str:
    """The host of a URL that may be fetched: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL)):
        raise BadInput("a market is fetched over https", where=url, hint="a file on this disk: --market FILE")
    return host
