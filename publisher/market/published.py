# SPDX-License-Identifier: Apache-2.0
"""A market's file as whoever runs the market publishes it: fetched once, checked, and kept.

It says which contracts get the money. Before it is kept the node that it names is asked whether they are the
packaged ones. That finds a market of another version, and no liar: a node of a liar says what he likes. Whose
market it is, only its digest tells; so a file that another one would replace needs that digest.
"""

import hashlib
import logging
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
from trustedpods.protocol.whole_file import read_whole_or_none
from trustedpods.publisher.context import MarketFile, parse_market
from trustedpods.publisher.contexts import MAX_SETTINGS_FILE, write_settings

_asked = logging.getLogger("trustedpods.asked")
"""What is asked of whom, for who wants to see it."""

TOKEN = "TestToken"  # noqa: S105 - a contract's name
"""Of a market that is real the token is somebody's own ERC-20."""

FOLDER = "markets"
"""Below the user's folder of settings."""

MAX_BYTES = 4 * KIB
"""A market file has a few hundred bytes. Tables in tables cost their square: 64 KiB took minutes."""

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


async def fetch(
    url: str, sha256: str | None, place: Path, *, kept: Path | None = None, whole_s: float = WHOLE_S
) -> FetchedMarket:
    """The market file at *url*, to be kept at *place*; *kept* is the one that it would replace.

    Raises BadInput for another digest than *sha256*, for what is no market file, for one of simulated
    hardware, which proves nothing, for a node that is not asked over TLS, and, without *sha256*, for another
    market than the one that is kept; NetworkFailure where it does not come within *whole_s*.
    """
    data = await _within(whole_s, url)
    found = hashlib.sha256(data).hexdigest()
    if sha256 is not None and found != sha256.lower():
        raise BadInput(
            f"its sha256 is {found}, not the one that was given", where=shown(url), hint="nothing was kept"
        )
    try:
        file = parse_market(data, place)
    except BadInput as error:
        raise BadInput(error.what, where=shown(url), hint=error.hint) from None
    if file.simulated_root is not None:
        raise BadInput(
            "its hardware is simulated, and proves nothing",
            where=shown(url),
            hint="for a localnet of yours name its file: --market FILE",
        )
    check_node(file, url)
    if sha256 is None:
        _check_same(data, found, kept, url)
    return FetchedMarket(data, file)


def check_node(file: MarketFile, url: str) -> None:
    """BadInput where a file from elsewhere has its node asked without TLS.

    Anybody between could answer then, and it could name any door of the reader's own network.
    """
    if urlsplit(file.rpc).scheme != "https" and _host(url) not in LOCAL:
        raise BadInput(
            "its rpc is not an https URL",
            where=shown(url),
            hint="with a node that you trust, in a file of your own: --market FILE",
        )


def _check_same(data: bytes, found: str, kept: Path | None, url: str) -> None:
    """What is published may have been swapped: a context pays another market by its digest alone."""
    before = None if kept is None else read_whole_or_none(kept, MAX_SETTINGS_FILE)
    if before is None or before == data:
        return
    raise BadInput(
        f"another market than the one that is kept in {kept}: its sha256 is {found}",
        where=shown(url),
        hint=f"if it is meant: --sha256 {found}; nothing was kept",
    )


def shown(url: str) -> str:
    """*url* as it may be said: without a name and password, and without a query, which may be a token."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host:  # no URL; whatever stood before the last @ is left out
        return url.rpartition("@")[2].partition("?")[0]
    named = f"[{host}]" if ":" in host else host
    return f"{parts.scheme}://{named}{'' if port is None else f':{port}'}{parts.path}"


def _opened(rpc: str) -> str:
    """The node at *rpc* as it may be said: its path may be what opens it."""
    parts = urlsplit(shown(rpc))
    return f"{parts.scheme}://{parts.netloc}"


async def _within(whole_s: float, url: str) -> bytes:
    """Whatever its server does: the thread is left behind, and ends with the process."""
    with trio.move_on_after(whole_s):
        return await trio.to_thread.run_sync(_download, url, whole_s, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
    raise NetworkFailure(f"it did not come within {whole_s:g} s", where=shown(url), rule="timeout")


async def check_contracts(file: MarketFile, url: str, whole_s: float = WHOLE_S) -> None:
    """Refused (rule `market-code`) where its chain has other code there than that of the packaged contracts.

    NetworkFailure where its node does not answer within *whole_s*.
    """
    market = Market(file.chain_id, file.payments, file.registry, file.token, file.finality_blocks)
    found = None
    with trio.move_on_after(whole_s):
        found = await unlike_source(file.rpc, market)
    if found is None:
        raise NetworkFailure(
            f"its node at {_opened(file.rpc)} did not answer within {whole_s:g} s",
            where=shown(url),
            rule="timeout",
        )
    differing = [name for name in found if name != TOKEN]
    if differing:
        raise Refused(
            f"its {' and '.join(differing)} at {_opened(file.rpc)} are not the contracts of this version",
            where=shown(url),
            rule="market-code",
            hint="ask whoever runs the market which version it is for; nothing was kept",
        )


def keep(fetched: FetchedMarket) -> None:
    """Write it to its place, whole or not at all. Raises BadInput where it cannot be written."""
    write_settings(fetched.file.path, fetched.data)


def _download(url: str, whole_s: float) -> bytes:
    local = _host(url) in LOCAL
    deadline, data = time.monotonic() + whole_s, bytearray()
    headers = {"user-agent": "trustedpods", "accept-encoding": "identity"}
    _asked.debug("GET %s", shown(url))
    try:
        with (
            httpx.Client(timeout=ANSWER_S, trust_env=not local, follow_redirects=False) as client,
            client.stream("GET", url, headers=headers) as answer,
        ):
            if answer.status_code != httpx.codes.OK:
                raise NetworkFailure(f"it was answered with status {answer.status_code}", where=shown(url))
            for piece in answer.iter_raw():
                data += piece
                if len(data) > MAX_BYTES:
                    raise BadInput(f"it is larger than {MAX_BYTES // KIB} KiB", where=shown(url))
                if time.monotonic() > deadline:
                    raise NetworkFailure(
                        f"it did not come within {whole_s:g} s", where=shown(url), rule="timeout"
                    )
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        # A name that is none, a proxy or certificates of the environment that are not there.
        raise NetworkFailure(
            f"it cannot be fetched: {_without(url, str(error)) or type(error).__name__}", where=shown(url)
        ) from None
    return bytes(data)


def _without(url: str, text: str) -> str:
    """*text* of others, with *url* in it as it may be said."""
    return text.replace(url, shown(url))


def _host(url: str) -> str:
    """The host of a URL that may be fetched: by TLS, or on this machine."""
    try:
        parts = urlsplit(url)
        host = parts.hostname
    except ValueError:
        host = None
    if not host or not (parts.scheme == "https" or (parts.scheme == "http" and host in LOCAL)):
        raise BadInput(
            "a market is fetched over https", where=shown(url), hint="a file on this disk: --market FILE"
        )
    return host
