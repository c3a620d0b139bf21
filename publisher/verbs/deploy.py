# SPDX-License-Identifier: Apache-2.0
"""`deploy`: from a manifest to a pod that serves, with the money in a channel of its own.

Every step may be killed and run again: the channel's id comes from the key, the provider and the
pod's name, blobs are met by their ids, and the provider keeps what it has.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio

from trustedpods.contracts.registry_rows import RegistryRow
from trustedpods.protocol.errors import BadInput, InsufficientFunds, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes, channel_hex
from trustedpods.protocol.messages.admission import Rendered
from trustedpods.protocol.messages.pod import PodStatus, StartBody
from trustedpods.protocol.messages.provider import TrustClass
from trustedpods.protocol.net import open_host
from trustedpods.publisher.attestation.policies import policy_for, policy_name
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import (
    Shape,
    cost_of,
    raised_terms,
    replicas_within,
    shape_of,
    terms_of,
)
from trustedpods.publisher.core.deploy import admit_body
from trustedpods.publisher.core.money import Funding
from trustedpods.publisher.core.select import Choice, Requirements, Selection, requirements_of, select
from trustedpods.publisher.core.trust import at_least
from trustedpods.publisher.delivery import report
from trustedpods.publisher.delivery.bundle import parcel_of
from trustedpods.publisher.delivery.signers import check_signed
from trustedpods.publisher.images.oci import VerifiedBlob
from trustedpods.publisher.journal import Journal, Step
from trustedpods.publisher.market.candidates import Candidate, Reached, first_that_takes, provider_name
from trustedpods.publisher.market.locations import PodLocation, by_liveness, pod_locations
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session, next_generation
from trustedpods.publisher.payment import channel, paying_in
from trustedpods.publisher.payment.channel import ChannelPayment
from trustedpods.publisher.pod import Pod, verify_images
from trustedpods.publisher.results.deployed import (
    ChosenProvider,
    DeployPlanResult,
    DeployProgress,
    DeployResult,
)
from trustedpods.publisher.results.providers import ProviderId
from trustedpods.publisher.results.validated import update_way
from trustedpods.publisher.state.names import remember_name
from trustedpods.publisher.state.pod_records import Provenance
from trustedpods.publisher.verbs.aftermath import in_turn
from trustedpods.publisher.verbs.delivery import Delivery
from trustedpods.publisher.verbs.offers.fallback import Fallback, tell_unlisted
from trustedpods.publisher.verbs.offers.planned import make_plan
from trustedpods.publisher.verbs.offers.render import render_body
from trustedpods.publisher.visits import records

if TYPE_CHECKING:
    from trustedpods.protocol.net import Host

PATIENCE_S = 60.0


@dataclass(frozen=True, slots=True)
class DeployOptions:
    """What the command line says beside the manifest.

    `patience_s`: how long a provider that goes away in the middle is waited for. Its daemon
    restarts in a few seconds, and giving notice at once would throw away what is there. `policy` is
    a policy's name or file, over the manifest's; `otherwise` is the one where neither says anything.
    `agree` is asked before something that runs becomes something else; None: nobody is.
    `network` is of a node of one: where it is there. `start`: a pod that was stopped runs again afterwards.
    """

    choice: Choice | None = None
    funding: Funding | None = None
    explain: bool = False
    policy: str | None = None
    patience_s: float = PATIENCE_S
    otherwise: str | None = None
    agree: Callable[[DeployPlanResult], bool] | None = None
    network: records.NodePlace | None = None
    start: bool = False


async def deploy(
    options: DeployOptions, account: MarketAccount, pod: Pod, progress: DeployProgress, journal: Journal
) -> DeployResult:
    """Deploy *pod*; when it raises, *progress* says how far it came and where the money is."""
    progress.pod, progress.publisher, progress.token = pod.name, account.publisher.address, account.token
    _begin(pod, journal)
    with journal.step("verify"):
        verified = await trio.to_thread.run_sync(verify_images, pod)
    async with in_turn(account, pod.name, "deploy", journal):
        await Deploy(options, account, pod, verified, progress, journal).run()
    return progress.result()


async def plan(
    options: DeployOptions, account: MarketAccount, pod: Pod, journal: Journal
) -> DeployPlanResult:
    """What `deploy` would change now: a provider is attested and asked; nothing is paid, sent or kept."""
    _begin(pod, journal)
    return await Deploy(options, account, pod, {}, DeployProgress(), journal).plan()


def _begin(pod: Pod, journal: Journal) -> None:
    if pod.manifest.spec.network.calls and pod.book is None:
        raise BadInput(
            "it calls other nodes, and so is a node of a network",
            where=pod.loaded.place(("spec", "network", "nodes")),
            hint="name this file in a Network, and deploy it by `trustedpods network apply`",
        )
    journal.event("manifest", f"{pod.name}: {report.pod_line(pod)}")


async def agreed(
    made: DeployPlanResult, agree: Callable[[DeployPlanResult], bool] | None, journal: Journal
) -> None:
    """Say what an update changes; Refused where somebody is asked and says no."""
    if not made.replaces:
        return
    journal.event("plan", made.lines[0], effect=made.effect, changes=len(made.changes))
    for line in made.lines[1:]:
        journal.show.line(line)
    if agree is not None and not await trio.to_thread.run_sync(agree, made):
        raise Refused(
            f"{made.pod} was not changed: nobody agreed to it",
            rule="not-agreed",
            hint="--yes agrees, --dry-run only says what would change, --name makes another pod",
        )


class Deploy:
    """One run of `deploy`."""

    def __init__(
        self,
        options: DeployOptions,
        account: MarketAccount,
        pod: Pod,
        verified: dict[str, VerifiedBlob],
        progress: DeployProgress,
        journal: Journal,
    ) -> None:
        self._progress = progress
        self._options = options
        self._account = account
        self._pod = pod
        self._verified = verified
        self._journal = journal
        self._lives_there = False
        self._fallback = Fallback(
            options.choice, pod.name, progress, journal, advises=options.network is None
        )
        self._payer = paying_in.Payments(account, journal)
        self._way = update_way(pod.manifest.stops_for_update)
        spec = pod.manifest.spec
        self._policy_name = policy_name(options.policy, spec.policy or options.otherwise)
        self._trust: TrustClass = spec.trust
        self._policy = policy_for(account.market, self._trust, self._policy_name)

    async def run(self) -> None:
        """List, select, reach, ask whether what runs may change, hand over.

        Where a provider that was not named by hand fails in the middle, all of it again with the next.
        """
        while True:
            try:
                await self._run_once()
            except TrustedPodsError as error:
                if not await self._payer.brought(error):
                    self._fallback.go_on(error)
            else:
                return

    async def _run_once(self) -> None:
        async with self._reached() as (host, reached):
            await self._agreed(reached)
            await self._check_book(reached)
            await self._hand_over(host, reached)
            await self._start(reached)

    async def plan(self) -> DeployPlanResult:
        """List, select, reach, and say what a run would change."""
        async with self._reached() as (_, reached):
            payment = self._payment(reached)
            return await make_plan(self._account, self._pod, reached, payment, self._journal)

    async def _agreed(self, reached: Reached) -> None:
        """Say what an update changes; Refused where somebody is asked and says no."""
        if reached.candidate.location.channel is None:
            return
        payment = self._payment(reached)
        made = await make_plan(self._account, self._pod, reached, payment, self._journal)
        self._progress.parked, self._way = made.parked, made.way(self._pod.manifest)
        await agreed(made, self._options.agree, self._journal)

    async def _start(self, reached: Reached) -> None:
        """Let a pod that its publisher had stopped run again, now that the provider has what it is to run."""
        if not (self._options.start and self._progress.parked):
            return
        ref, name = reached.candidate.location.ref, self._pod.name
        await reached.session.ask("start", ref, StartBody(), next_generation(), PodStatus)
        self._progress.parked = False
        self._journal.event("started", f"{name} may run again: `trustedpods status {name}` says what it does")

    async def _check_book(self, reached: Reached) -> None:
        """Of a pod that is not paid for yet: Refused (rule `closed-node`) before a channel is opened for it.

        What else the provider may say to this question it says to the bundle too.
        """
        book, location = self._pod.book, reached.candidate.location
        if location.channel is not None or book is None or not any(one.address for one in book.entries):
            return
        body, generation = render_body(self._pod), next_generation()
        try:
            await reached.session.ask("render", location.ref, body, generation, Rendered)
        except Refused as refused:
            if refused.rule == "closed-node":
                raise

    @asynccontextmanager
    async def _reached(self) -> AsyncIterator["tuple[Host, Reached]"]:
        await check_signed(self._policy, self._pod.named_images, self._journal)
        with self._journal.step("list") as step:
            rows = await self._account.market.rows()
            known = await pod_locations(self._account, self._pod.name, rows)
            await tell_unlisted(self._account, self._pod.name, rows, known, self._journal)
            step.facts["providers"] = len(rows)
        async with open_host(None, []) as host, AsyncExitStack() as stack:
            with self._journal.step("select") as step:
                selection = self._select(rows, known, step)
                reached = await self._enter(stack, self._reach(host, selection, known, step))
            yield host, reached

    async def _enter(self, stack: AsyncExitStack, reaching: AbstractAsyncContextManager[Reached]) -> Reached:
        try:
            return await stack.enter_async_context(reaching)
        except TrustedPodsError as error:
            if self._lives_there and error.hint is None:
                error.hint = report.unchanged(self._pod.name, answered=not isinstance(error, NetworkFailure))
            raise

    def _select(self, rows: Sequence[RegistryRow], known: Sequence[PodLocation], step: Step) -> Selection:
        """Rank the providers; a pod that lives somewhere stays there."""
        choice = self._options.choice
        home = next((location for location in by_liveness(known) if location.live.unlock_at == 0), None)
        if home is not None:
            if choice is not None and not choice.matches(home.row):
                raise Refused(
                    f"pod {self._pod.name!r} lives at {provider_name(home.row)}",
                    rule="lives-elsewhere",
                    hint=f"`trustedpods delete {self._pod.name}` first, or give this one another --name",
                )
            choice = Choice(home.row.owner, home.row.daemon)
            self._keep_class(home)
        self._lives_there = home is not None
        selection = select(self._requirements(choice, paid=home is not None), rows)
        step.facts["left_out"] = [
            {"provider": provider_name(out.row), "reason": out.reason} for out in selection.left_out
        ]
        if self._options.explain:
            report.explain(selection, self._account.token, self._journal)
        selection = self._fallback.without_left(selection, step, lives_there=self._lives_there)
        if not selection.offers:
            raise report.nobody(selection, self._trust)
        return selection

    def _keep_class(self, home: PodLocation) -> None:
        """What the pod's provider proved when the pod was sent there holds for an update too."""
        record = records.load(channel_hex(home.ref.channel), self._journal)
        self._trust = at_least(self._trust, None if record is None else record.trust)
        if self._trust == "sealed" and home.row.trust != "sealed":
            raise report.sunk(provider_name(home.row), self._pod.name)
        self._policy = policy_for(self._account.market, self._trust, self._policy_name)

    def _requirements(self, choice: Choice | None, *, paid: bool) -> Requirements:
        market, pod = self._account.market, self._pod
        wanted = requirements_of(
            pod.manifest, pod.image_bytes, market.file.token, market.token, self._options.funding, choice
        )
        wanted = replace(wanted, trust=self._trust)
        return replace(wanted, funding=None) if paid else wanted

    def _provenance(self, session: Session) -> Provenance:
        """A pod that any class will do for keeps the class that it was sent to: no visit sinks below."""
        trust, images = at_least(self._trust, session.verdict.trust), self._pod.image_sources
        return Provenance(trust=trust, policy=self._policy_name, images=images)

    @property
    def _shape(self) -> Shape:
        return shape_of(self._pod.manifest, self._pod.image_bytes)

    @property
    def _funding(self) -> Funding | None:
        return self._requirements(None, paid=False).funding

    def _reach(
        self, host: "Host", selection: Selection, known: Sequence[PodLocation], step: Step
    ) -> AbstractAsyncContextManager[Reached]:
        by_row = {(location.row.owner, location.row.daemon): location for location in known}
        candidates = [
            Candidate(offer, by_row[offer.row.owner, offer.row.daemon]) for offer in selection.offers
        ]
        manifest = self._pod.manifest
        return first_that_takes(
            host,
            self._account.publisher,
            candidates,
            self._policy,
            admit_body(manifest, self._pod.image_bytes, self._pod.users),
            self._journal,
            step,
        )

    async def _hand_over(self, host: "Host", reached: Reached) -> None:
        """Say who takes the pod and at what price, then pay and send."""
        session, location = reached.session, reached.candidate.location
        payment = self._payment(reached)
        self._progress.chosen = ChosenProvider(
            ProviderId.of(session.row), session.machine, location.ref.channel, reached.candidate.offer.cost
        )
        remember_name(state_dir(), channel_hex(location.ref.channel), self._pod.name)
        self._journal.event(
            "provider", report.provider_line(session, reached.candidate.offer, self._account.token)
        )
        self._tell_cap(reached, payment)
        if location.channel is None:
            await channel.check_opening(self._account, location.ref, payment.amount)
        self._remember(session, location)
        handing = Delivery(
            self._account,
            parcel_of(
                self._pod, self._verified, self._account.publisher, self._provenance(session), self._way
            ),
            payment,
            location,
            self._policy,
            self._progress,
            self._journal,
            gives_up=location.channel is None and self._fallback.may_leave,
        )
        self._fallback.hands_over(payment)
        await handing.run(host, session, self._options.patience_s)

    def _remember(self, session: Session, location: PodLocation) -> None:
        """Keep what is known of the pod before anything is paid, so that `watch` looks after it.

        Of an update only the size: until it is confirmed, a release sends the version before, as it was sent.
        """
        record = records.load(channel_hex(location.ref.channel), self._journal) or records.begin(
            self._account, self._pod.name, location
        )
        record = records.grown(record, self._shape)
        if location.channel is None:
            record = records.sent_under(record, self._provenance(session))
        if self._options.network is not None:
            record = records.of_network(record, self._options.network)
        records.keep(records.attested(record, session, self._policy), self._journal)

    def _payment(self, reached: Reached) -> ChannelPayment:
        profile, token, shape = reached.session.profile, self._account.token, self._shape
        cost = cost_of(shape, profile.prices, profile.least)
        amount = cost.deposit(self._funding, token, profile.grace_s)
        if reached.candidate.location.channel is None and amount < profile.least.deposit:
            least = token.text(profile.least.deposit)
            raise InsufficientFunds(
                f"the provider asks for a deposit of {least}, this is {token.text(amount)}",
                rule="deposit",
                hint="pay in more with --deposit",
            )
        limit = self._requirements(None, paid=False).max_cost_per_day
        there = reached.candidate.location.channel
        return ChannelPayment(
            ref=reached.candidate.location.ref,
            meter=address_from_bytes(reached.session.binding.meter),
            terms=terms_of(shape, profile.prices, profile.least, limit),
            amount=amount,
            there=there is not None,
            raised=None if there is None else raised_terms(shape, there.terms, profile.least, limit),
        )

    def _tell_cap(self, reached: Reached, payment: ChannelPayment) -> None:
        """That not all replicas may run at once under the publisher's limit."""
        there = reached.candidate.location.channel
        terms = payment.raised or (payment.terms if there is None else there.terms)
        shape, most = self._shape, self._shape.max_replicas
        replicas = replicas_within(shape, terms, reached.session.profile.least.idle_mib)
        if replicas < most:
            self._journal.event(
                "cap", f"maxCostPerDay pays for {replicas} of {most} replicas at once, or some more"
            )
