# SPDX-License-Identifier: Apache-2.0
"""What the page asks `Client` for, without a market: results that a test sets, and how often it was asked."""

from dataclasses import dataclass, field, replace

import trio

from trustedpods.contracts.records import Channel
from trustedpods.contracts.terms import Terms
from trustedpods.protocol.attestation.verdict import Verdict
from trustedpods.protocol.errors import NetworkFailure
from trustedpods.protocol.messages.pod import PodEvent
from trustedpods.protocol.messages.provider import LeastTerms
from trustedpods.protocol.units import Usage
from trustedpods.publisher.core.bill import Bill, Line
from trustedpods.publisher.core.money import Token
from trustedpods.publisher.results.channels import PodChannel
from trustedpods.publisher.results.pods import (
    BillResult,
    LastAttestation,
    ListedPod,
    ListResult,
    LogPiece,
    ServiceStatus,
    StatusResult,
    VisitedPod,
)
from trustedpods.publisher.results.providers import (
    ListedProvider,
    ListPrices,
    ProviderId,
    ProvidersResult,
    VerifiedMachine,
)
from trustedpods.publisher.results.watched import OverviewResult

TOKEN = Token("TPT", 6)
OWNER = "0x" + "aB" * 20
CHANNEL = 0xC0FFEE
BEGAN = 1_800_000_000
VERDICT = Verdict("sealed", True, "SIMULATED AMD SEV-SNP (Milan)", b"chip", b"r" * 32, ("signature",))
AWAY = NetworkFailure(
    "the provider does not answer", where=OWNER, hint="try again, or `trustedpods close web`"
)


def provider(**changes):
    made = ListedProvider(
        provider=ProviderId(OWNER, 0, "/ip4/127.0.0.1/tcp/1", "eu-north"),
        trust="sealed",
        tee=("sev-snp",),
        updated_at=BEGAN,
        prices=ListPrices(3_600_000, 400_000, 720_000, 10_000, 0),
        least=LeastTerms(deposit=1_000_000, unlock_s=60, idle_mib=0),
        proof=VERDICT,
    )
    return replace(made, **changes)


def listed(name="web", **changes):
    made = ListedPod(
        name=name,
        channel=CHANNEL,
        owner=OWNER,
        daemon=0,
        phase="serving",
        reason="",
        replicas=2,
        ready=1,
        urls=("https://web.example/",),
        left=5_000_000,
        runway_s=10 * 86400,
        unlock_at=None,
        error=None,
    )
    return replace(made, **changes)


def visited(name="web"):
    live = Channel(CHANNEL, 1, BEGAN, 5_000_000, Terms.unpack(0))
    place = PodChannel(ProviderId(OWNER, 0, "/ip4/127.0.0.1/tcp/1", "eu-north"), CHANNEL, live)
    attested = LastAttestation(BEGAN, None, "built-in", None, None, None)
    return VisitedPod(name, OWNER, TOKEN, place, (), VerifiedMachine(VERDICT, b"b", OWNER), attested)


def status(name="web", **changes):
    made = StatusResult(
        pod=visited(name),
        phase="serving",
        reason="",
        version=3,
        failure=None,
        replicas=2,
        ready=1,
        runway_s=10 * 86400,
        deposit=9_000_000,
        claimed=4_000_000,
        accrued=1000,
        services=(ServiceStatus("web", "http", ("https://web.example/",)),),
        events=tuple(PodEvent(at=BEGAN + n, reason="Started", text=f"replica {n}") for n in range(3)),
        confirmed=None,
        cpu_milli=500,
        memory_mib=256,
    )
    return replace(made, **changes)


def lines(count=24, period_s=600):
    return tuple(
        Line(
            from_=BEGAN + n * period_s,
            up_to=BEGAN + (n + 1) * period_s,
            usage=Usage(500 * period_s * (n % 3), 256 * period_s, 0, 1024 * n, 512 * n),
            amount=1000 * n,
            cut=False,
            root=b"r" * 32,
            transaction=None,
        )
        for n in range(count)
    )


def billed(name="web", *, made=(), problems=()):
    return BillResult(visited(name), Bill(made, Usage(), 7, ()), 4_000_000, problems)


def overview(name="web", **changes):
    made = OverviewResult(
        status=status(name),
        log=(LogPiece("web", b"GET / 200\nGET /about 200\n"),),
        bill=billed(name, made=lines()),
    )
    return replace(made, **changes)


@dataclass
class FakeReader:
    """`error`: raised in place of every answer; `hold`: an event that is waited for before each."""

    market: ProvidersResult = field(default_factory=lambda: ProvidersResult(TOKEN, True, (provider(),)))
    pods: ListResult = field(default_factory=lambda: ListResult(TOKEN, (listed(),)))
    pod: OverviewResult = field(default_factory=overview)
    error: Exception | None = None
    hold: trio.Event | None = None
    asked: list[str] = field(default_factory=list)
    heard: ProvidersResult | None = None
    """What is known of the market before all have answered."""

    async def _answer(self, what, value):
        self.asked.append(what)
        if self.hold is not None:
            await self.hold.wait()
        if self.error is not None:
            raise self.error
        return value

    async def providers(self, *, attest=False, progress=None):
        if progress is not None and self.heard is not None:
            progress.made = lambda: self.heard
        return await self._answer("providers attested" if attest else "providers", self.market)

    async def list(self):
        return await self._answer("list", self.pods)

    async def overview(self, name, *, tail=100):
        return await self._answer(f"overview {name}", self.pod)
