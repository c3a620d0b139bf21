# SPDX-License-Identifier: Apache-2.0
"""How names are shown to be ours: a page that the facade answers with, or a TXT record."""

import os
import signal
import subprocess
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import trio

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.acme.authority import NameProof
from trustedpods.provider.acme.failures import OrderFailure
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.core.certificates.types import FailureKind
from trustedpods.provider.dns.updates import ZoneUpdates, read_update_key

CHALLENGE_PATH = "/.well-known/acme-challenge/"
CHALLENGE_LABEL = "_acme-challenge"

_TOKEN = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
MAX_TOKEN = 256
"""Tokens are 43 characters as a rule; the authority chooses them, and they become keys of HAProxy's map."""

KILL_AFTER_S = 2.0
"""What a hook that must end has to end in."""

ShowPages = Callable[[Mapping[str, str]], Awaitable[None]]
"""Has the facade answer each path with its text, and no others."""


class Proofs(Protocol):
    """One way of proof; `kind` is the challenge's word."""

    @property
    def kind(self) -> str:
        """`http-01` or `dns-01`."""

    async def show(self, proofs: Sequence[NameProof]) -> None:
        """Returns when all can be seen by the authority; failures are of kind `later`."""

    async def take_back(self, proofs: Sequence[NameProof]) -> None:
        """They are of no more use. What cannot be taken back stays, which harms nobody."""


class PageProofs:
    """HTTP-01: pages of the facade."""

    kind = "http-01"

    def __init__(self, show_pages: ShowPages) -> None:
        self._show_pages = show_pages

    async def show(self, proofs: Sequence[NameProof]) -> None:
        """All at once."""
        await self._show_pages({f"{CHALLENGE_PATH}{_token(one)}": one.http_body for one in proofs})

    async def take_back(self, proofs: Sequence[NameProof]) -> None:
        """None are left, also of an earlier daemon."""
        await self._show_pages({})


class RecordProofs:
    """DNS-01 by updates of the operator's zone."""

    kind = "dns-01"

    def __init__(self, updates: ZoneUpdates) -> None:
        self._updates = updates

    async def show(self, proofs: Sequence[NameProof]) -> None:
        """The domain and its wildcard share one name, with a text for each."""
        for name, texts in _texts(proofs).items():
            await self._updates.add_texts(name, texts)

    async def take_back(self, proofs: Sequence[NameProof]) -> None:
        """Only the texts that were added."""
        for name, texts in _texts(proofs).items():
            await self._updates.remove_texts(name, texts)


class HookProofs:
    """DNS-01 by a program of the operator's: once for each text, and once more to take it back.

    Its last argument is `present` or `cleanup`, its environment ACME_NAME (of the record), ACME_VALUE (its
    text), ACME_DOMAIN and PATH; it inherits nothing else. It returns 0 when the record can be seen at the
    zone's servers. It may be called again for what is there, and to take back what is not.
    """

    kind = "dns-01"

    def __init__(self, program: Sequence[str], within_s: float) -> None:
        self._program = tuple(program)
        self._within_s = within_s

    async def show(self, proofs: Sequence[NameProof]) -> None:
        """One after another: hooks rarely lock their zone."""
        for one in proofs:
            await self._run("present", one)

    async def take_back(self, proofs: Sequence[NameProof]) -> None:
        """One after another."""
        for one in proofs:
            await self._run("cleanup", one)

    async def _run(self, action: str, proof: NameProof) -> None:
        variables = {
            "PATH": os.defpath,
            "ACME_NAME": _record(proof),
            "ACME_VALUE": proof.dns_text,
            "ACME_DOMAIN": proof.name,
        }
        try:
            with trio.fail_after(self._within_s):
                done = await trio.run_process(
                    [*self._program, action],
                    env=variables,
                    stdin=b"",
                    stdout=subprocess.DEVNULL,
                    check=False,
                    start_new_session=True,
                    deliver_cancel=_end_group,
                )
        except trio.TooSlowError:
            raise self._failed(f"did not end within {self._within_s:g} s") from None
        except OSError as failed:
            raise self._failed(f"cannot be run: {failed.strerror}") from None
        if done.returncode != 0:
            raise self._failed(f"ended with code {done.returncode} ({action} {_record(proof)})")

    def _failed(self, what: str) -> OrderFailure:
        return OrderFailure(
            f"the hook {what}",
            FailureKind.LATER,
            rule="acme",
            where=self._program[0],
            hint="its own words are in the daemon's log; run it by hand",
        )


async def _end_group(process: trio.Process) -> None:
    """The hook and what it started."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        with trio.move_on_after(KILL_AFTER_S):
            await process.wait()


def proofs_for(settings: AcmeSettings, domain: str, show_pages: ShowPages) -> Proofs:
    """The way that the settings ask for. BadInput if its key cannot be read."""
    if settings.challenge == "http-01":
        return PageProofs(show_pages)
    if settings.dns_server is None or settings.dns_key_file is None:
        return HookProofs(settings.hook, settings.hook_limit_s)
    key = read_update_key(Path(settings.dns_key_file))
    return RecordProofs(ZoneUpdates(settings.dns_server, settings.zone_of(domain), key))


async def taken_back(proofs: Proofs, shown: Sequence[NameProof]) -> str:
    """Take back what was shown; why that failed, empty if it did not: it is no trouble of the order's."""
    try:
        await proofs.take_back(shown)
    except TrustedPodsError as error:
        return str(error)
    return ""


def _record(proof: NameProof) -> str:
    return f"{CHALLENGE_LABEL}.{proof.name}"


def _texts(proofs: Sequence[NameProof]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for one in proofs:
        found.setdefault(f"{_record(one)}.", []).append(one.dns_text)
    return found


def _token(proof: NameProof) -> str:
    if not 0 < len(proof.token) <= MAX_TOKEN or not set(proof.token) <= _TOKEN:
        raise OrderFailure("the authority's token is none", FailureKind.LOST, rule="acme", where=proof.name)
    return proof.token
