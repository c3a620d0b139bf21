# SPDX-License-Identifier: Apache-2.0
"""The verbs as a Python program calls them: a market and a key, opened once, and typed results.

`docs/python.md` has an example. Errors are those of `trustedpods.protocol.errors`. Nothing is printed: what a
verb tells as it goes is handed to a `Show`, by default to the logger `trustedpods`.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Literal, TypeVar

import trio
from pydantic import ValidationError

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.messages.pod import LogsBody
from trustedpods.publisher.attestation.evidence import Wanted, read_policy
from trustedpods.publisher.context import cache_dir, load_market
from trustedpods.publisher.core.cost import Shape, shape_of
from trustedpods.publisher.core.money import parse_funding
from trustedpods.publisher.core.names import check_name
from trustedpods.publisher.core.select import parse_choice
from trustedpods.publisher.journal import Show
from trustedpods.publisher.keyfile import load_key
from trustedpods.publisher.market.market import open_account
from trustedpods.publisher.network_client import LogShow
from trustedpods.publisher.payers.payer import find_payer
from trustedpods.publisher.pod import Pod, read_pod
from trustedpods.publisher.results.attested import AttestProgress, AttestResult
from trustedpods.publisher.results.deployed import (
    DeployPlanResult,
    DeployProgress,
    DeployResult,
    PushResult,
    RestartResult,
    VersionsResult,
)
from trustedpods.publisher.results.estimated import EstimateResult
from trustedpods.publisher.results.money import (
    BalanceResult,
    CloseProgress,
    CloseResult,
    FundProgress,
    FundResult,
    GoneResult,
)
from trustedpods.publisher.results.pods import (
    AuditResult,
    BillResult,
    DeleteProgress,
    DeleteResult,
    EventsResult,
    ExecResult,
    ListResult,
    LogPiece,
    LogsResult,
    StatusResult,
    TopResult,
    UsageResult,
    VisitProgress,
)
from trustedpods.publisher.results.providers import InspectResult, ListProgress, ProvidersResult, RenderResult
from trustedpods.publisher.results.validated import ValidatedNetwork, ValidateResult
from trustedpods.publisher.results.watched import OverviewResult, WatchResult
from trustedpods.publisher.stream_client import StreamClient
from trustedpods.publisher.verbs import (
    attest,
    audit,
    bill,
    deploy,
    estimate,
    money,
    pods,
    providers,
    validate,
    watch,
)
from trustedpods.publisher.verbs.offers import render
from trustedpods.publisher.verbs.running import history, listed, overview, push, restart, rollback, top
from trustedpods.publisher.verbs.running.exec import Collected, execute, make_body

T = TypeVar("T")


def validate_manifest(manifest: str | Path) -> ValidateResult | ValidatedNetwork:
    """Check a Pod's or a Network's file with its secrets and images; asks registries alone, for theirs.

    Raises `BadInput`, and `NetworkFailure` where a registry does not answer.
    """
    return validate.validate(Path(manifest), cache_dir())


@asynccontextmanager
async def connect(
    market: str | Path | None = None, key: str | Path | None = None, show: Show | None = None
) -> AsyncIterator["Client"]:
    """Open a market with a key, each a file, else what the command would take (docs/cli.md), as its payer.

    Raises `NoContext` when there is none or the chain is another one, `BadInput` when a file is wrong,
    `NetworkFailure` when the chain does not answer.
    """
    show, file = show or LogShow(), load_market(None if market is None else str(market))
    secret = load_key(None if key is None else str(key), warn=show.warning)
    async with open_account(file, secret, payer=find_payer(None)) as account:
        yield Client(account, show)


class Client(StreamClient):
    """One key in one market. Made by `connect`; runs under trio, several verbs may run side by side.

    Pods are called by name. A `manifest` is the path of a file. Every verb raises `TrustedPodsError`s; those
    that move money fill the *progress* that they are given, which says afterwards where the money is.
    """

    async def deploy(
        self,
        manifest: str | Path,
        *,
        deposit: str | None = None,
        provider: str | None = None,
        trust: Literal["open"] | None = None,
        name: str | None = None,
        policy: str | None = None,
        patience_s: float = deploy.PATIENCE_S,
        progress: DeployProgress | None = None,
    ) -> DeployResult:
        """Run the pod of *manifest*, or go on where an earlier call stopped; returns when it serves.

        *deposit* is whole tokens ("2.5") or a duration at full size ("12h"), *provider* OWNER or OWNER/N,
        *name* another one than the manifest's, *policy* a name or file. A provider that goes away is waited
        for *patience_s* seconds.
        """
        checked = None if name is None else check_name(name)
        wanted = deploy.DeployOptions(
            choice=None if provider is None else parse_choice(provider),
            funding=None if deposit is None else parse_funding(deposit, "deposit"),
            policy=policy,
            patience_s=patience_s,
        )
        pod = await trio.to_thread.run_sync(read_pod, Path(manifest), cache_dir(), checked, trust)
        progress = progress or DeployProgress()
        return await deploy.deploy(wanted, self._account, pod, progress, self._journal())

    async def plan(
        self, manifest: str | Path, *, provider: str | None = None, name: str | None = None
    ) -> DeployPlanResult:
        """What `deploy` would change now, with the same words; nothing is paid, sent or kept."""
        wanted = deploy.DeployOptions(None if provider is None else parse_choice(provider))
        pod = await trio.to_thread.run_sync(read_pod, Path(manifest), cache_dir(), name and check_name(name))
        return await deploy.plan(wanted, self._account, pod, self._journal())

    async def estimate(
        self,
        manifest: str | Path,
        *,
        deposit: str | None = None,
        provider: str | None = None,
        trust: Literal["open"] | None = None,
    ) -> EstimateResult:
        """What the pod of *manifest* would cost at each provider, by the registry's prices; pays nobody.

        Takes *deposit*, *provider* and *trust* as `deploy` does.
        """
        choice = None if provider is None else parse_choice(provider)
        funding = None if deposit is None else parse_funding(deposit, "deposit")
        pod = await trio.to_thread.run_sync(read_pod, Path(manifest), cache_dir(), None, trust)
        return await estimate.estimate(self._account.market, pod, choice, funding)

    async def status(self, name: str) -> StatusResult:
        """What the pod does, where it is reached, how long its money lasts."""
        return await pods.status(self._account, name, VisitProgress(), self._journal())

    async def overview(self, name: str, *, tail: int = 100) -> OverviewResult:
        """What the pod does, its last *tail* lines (1 to 10000) and its bill, in one visit.

        It looks on: unlike other verbs it does not release a pod whose provider was restarted.
        """
        try:
            body = LogsBody(tail=tail)
        except ValidationError:
            raise BadInput("1 to 10000 lines", where="tail") from None
        return await overview.overview(self._account, name, body, VisitProgress(), self._journal())

    async def logs(
        self,
        name: str,
        container: str | None = None,
        tail: int = 100,
        *,
        previous: bool = False,
        since_s: int | None = None,
    ) -> LogsResult:
        """The last *tail* lines (1 to 10000) of a container, or of the pod's first.

        Of the newest replica; while none runs, of the last that did; with *previous* of all runs that ended
        and are still kept, oldest first; with *since_s* only lines of so many last seconds. `follow_logs`
        goes on as lines come.
        """
        pieces: list[LogPiece] = []
        try:
            body = LogsBody(container=container, tail=tail, previous=previous, since_s=since_s)
        except ValidationError:
            raise BadInput(
                "a container's name, 1 to 10000 lines, and a second or more", where="container, tail, since_s"
            ) from None
        done = await pods.logs(self._account, name, body, pieces.append, VisitProgress(), self._journal())
        return LogsResult(done.pod, tuple(pieces))

    async def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        input: bytes = b"",  # noqa: A002 - as subprocess.run calls it
        container: str | None = None,
        replica: str | None = None,
    ) -> ExecResult:
        """Run *command* in a container of a replica that runs, with *input* as all of its input.

        Returns its exit code and outputs, which are held in memory: `BadInput` (and the command's input ends)
        over `MAX_COLLECTED` bytes.
        """
        body = make_body(command, stdin=bool(input), container=container, replica=replica)
        ends = Collected(input)
        done = await execute(
            self._account, name, body, ends.read, ends.write, VisitProgress(), self._journal()
        )
        return replace(done, stdout=bytes(ends.stdout), stderr=bytes(ends.stderr))

    async def push(self, file: str | Path, name: str | None = None) -> PushResult:
        """Send the images of a manifest, or one image, to the provider of the pod, ahead of a deploy.

        *name* is the pod's, where it is not the manifest's.
        """
        checked = None if name is None else check_name(name)
        pod, images = await trio.to_thread.run_sync(push.images_of, Path(file), checked, cache_dir())
        return await push.push(self._account, pod, images, VisitProgress(), self._journal())

    async def events(self, name: str) -> EventsResult:
        """What happened to the pod, oldest first, as its provider remembers it."""
        return await history.events(self._account, name, VisitProgress(), self._journal())

    async def usage(self, name: str) -> UsageResult:
        """What the pod used, by day, proved and priced as for its bill."""
        return await history.usage(self._account, name, VisitProgress(), self._journal())

    async def restart(self, name: str) -> RestartResult:
        """Start the pod anew from the bundle that its provider has; returns when the new replicas serve."""
        return await restart.restart(self._account, name, None, VisitProgress(), self._journal())

    async def rollback(
        self, name: str, generation: int | None = None, *, progress: DeployProgress | None = None
    ) -> DeployResult:
        """Let an earlier version run again: that of *generation*, else the one before the newest.

        Versions that proved themselves are kept on the machine that deployed them; `versions` lists them.
        """
        options = rollback.RollbackOptions(generation)
        progress = progress or DeployProgress()
        return await rollback.rollback(self._account, name, options, progress, self._journal())

    async def versions(self, name: str) -> VersionsResult:
        """The versions that `rollback` can go back to, newest first, and which of them serves."""
        return await rollback.versions(self._account, name, self._journal())

    async def delete(
        self, name: str, *, purge: bool = False, progress: DeleteProgress | None = None
    ) -> DeleteResult | GoneResult:
        """Remove the pod; what is left of its deposit comes back. One that is gone already is no error.

        Volumes that outlive it stay, and its channel pays for them, unless *purge* is set.
        """
        options = pods.DeleteOptions(purge)
        return await pods.delete(self._account, name, progress or DeleteProgress(), self._journal(), options)

    async def fund(
        self,
        name: str,
        amount: str,
        *,
        manifest: str | Path | None = None,
        progress: FundProgress | None = None,
    ) -> FundResult:
        """Pay *amount* into the pod's channel: whole tokens, or a duration.

        A duration counts at the full size of *manifest*, without one at the channel's cap.
        """
        funding, shape = parse_funding(amount, "amount"), await self._shape(manifest)
        progress = progress or FundProgress()
        return await money.fund(self._account, name, funding, shape, progress, self._journal())

    async def close(
        self, name: str, *, wait_s: float = 0.0, progress: CloseProgress | None = None
    ) -> CloseResult:
        """Get the pod's deposit back without its provider: give notice, or close once that has passed.

        With *wait_s* it returns when the notice has passed and the channels are closed.
        """
        return await money.close(self._account, name, wait_s, progress or CloseProgress(), self._journal())

    async def list(self, *, ended: bool = False) -> ListResult:
        """All pods of the key, found on chain; with *ended* those too whose channel is closed."""
        return await listed.list_pods(self._account, self._journal(), ended=ended)

    async def top(self, name: str | None = None) -> TopResult:
        """Replicas of the pod, or of all, now, with the CPU and memory that they hold."""
        return await top.top(self._account, name, VisitProgress(), self._journal())

    async def balance(self) -> BalanceResult:
        """Tokens and coin of the key's address, and its channels."""
        return await money.balance(self._account)

    async def bill(self, name: str, *, manifest: str | Path | None = None) -> BillResult:
        """What the pod cost, computed here from signed usage; `problems` is empty when it holds."""
        shape = await self._shape(manifest)
        return await bill.bill(self._account, name, shape, VisitProgress(), self._journal())

    async def audit(self, name: str, *, manifest: str | Path | None = None) -> AuditResult:
        """Hold every claim of the pod's provider against the chain; `holds` is the verdict."""
        shape = await self._shape(manifest)
        return await audit.audit(self._account, name, shape, VisitProgress(), self._journal())

    async def providers(
        self,
        *,
        attest: bool = False,
        manifest: str | Path | None = None,
        progress: ListProgress | None = None,
    ) -> ProvidersResult:
        """The market's providers, cheapest first; with *attest*, what each one proves.

        With a *manifest*, its price at each, or why it cannot run there. *progress* has what is known so far.
        """
        pod, options = None if manifest is None else await self._pod(manifest), providers.ListOptions(attest)
        return await providers.list_providers(self._account.market, options, pod, progress)

    async def render(
        self,
        manifest: str | Path,
        *,
        provider: str | None = None,
        trust: Literal["open"] | None = None,
        name: str | None = None,
    ) -> RenderResult:
        """The Kubernetes objects that the pod of *manifest* becomes at a provider; nothing is paid or kept.

        Takes *provider*, *trust* and *name* as `deploy` does.
        """
        choice = None if provider is None else parse_choice(provider)
        checked = None if name is None else check_name(name)
        pod = await trio.to_thread.run_sync(read_pod, Path(manifest), cache_dir(), checked, trust)
        account = self._account
        return await render.render(account.market, pod, account.publisher.key, choice, self._journal())

    async def inspect(self, provider: str) -> InspectResult:
        """What OWNER or OWNER/N offers: labels of nodes, classes of volumes, drivers, sizes."""
        return await providers.inspect(self._account.market, parse_choice(provider))

    async def attest(self, provider: str, *, policy: str | None = None) -> AttestResult:
        """Ask OWNER or OWNER/N for proof, and judge it by *policy* (a name or file), else by the market's."""
        wanted = Wanted(None if policy is None else read_policy(policy))
        choice, progress = parse_choice(provider), AttestProgress()
        return await attest.attest_provider(self._account.market, choice, wanted, progress, self._journal())

    async def watch(self, options: watch.WatchOptions | None = None) -> WatchResult:
        """One round over the pods that were deployed from this machine; see `WatchOptions`.

        A pod's trouble is in its result, and raises nothing.
        """
        return await watch.watch_round(self._account, options or watch.WatchOptions(), self._journal())

    async def _shape(self, manifest: str | Path | None) -> Shape | None:
        """Size of the pod in a manifest file."""
        if manifest is None:
            return None
        pod = await self._pod(manifest)
        return shape_of(pod.manifest, pod.image_bytes)

    async def _pod(self, manifest: str | Path) -> Pod:
        return await trio.to_thread.run_sync(read_pod, Path(manifest), cache_dir())


def run(
    work: Callable[[Client], Awaitable[T]],
    market: str | Path | None = None,
    key: str | Path | None = None,
    show: Show | None = None,
) -> T:
    """What *work* returns, given a client: for programs that do not run under trio. It blocks until then.

    The market is opened for this call, as `connect` does: give all of a program's work at once.
    """

    async def opened() -> T:
        async with connect(market, key, show) as client:
            return await work(client)

    return trio.run(opened)
