# SPDX-License-Identifier: Apache-2.0
"""One run of a set-up, from looking to what is left to do; the next goes on where it ended."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import trio

from trustedpods.contracts.records import Market
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.messages.provider import Prices, TrustClass
from trustedpods.protocol.whole_file import read_whole_or_none
from trustedpods.provider.admin.registration import row_of
from trustedpods.provider.admin.views import DaemonIdentity
from trustedpods.provider.config import ProviderConfig, load_config
from trustedpods.provider.setup import daemon_account
from trustedpods.provider.setup.answers import SetupAnswers
from trustedpods.provider.setup.asking import (
    NOBODY,
    Asking,
    asked,
    asked_prices,
    asked_user_namespaces,
    market_of,
    may_make_account,
)
from trustedpods.provider.setup.configuration import DATA, FIRST_DAEMON, Chosen, kept
from trustedpods.provider.setup.facts import OwnerFound
from trustedpods.provider.setup.files import FileResult, ServiceUser, operator_key, put, readable_by, remove
from trustedpods.provider.setup.market_prices import listed_prices
from trustedpods.provider.setup.owner.qr_codes import QrRoom, qr_lines
from trustedpods.provider.setup.owner.transactions import (
    UnsignedTransaction,
    differs,
    funding,
    naming_operator,
    offered_otherwise,
    registering,
)
from trustedpods.provider.setup.plan import ROW_FILE, UNITS, PlannedFile, SetupPlan, planned
from trustedpods.provider.setup.report import fact_lines, transaction_lines
from trustedpods.provider.setup.site import SetupSite, kubeconfig

OWN_KUBECONFIG = "kubeconfig"
"""Beside the settings."""

_MAX_KUBECONFIG = MIB
"""Bytes; with certificates it has some KiB."""

OWN_ACCOUNT = f"the daemon's account in the cluster: {daemon_account.NAMESPACE}/{daemon_account.NAME}"

FIRST_GAS = 5_000_000
"""Coin for so much gas is asked for at the start: two months of heartbeats and daily claims, of few pods."""

LOOK_AGAIN_S = 2.0
"""Between two looks at the chain, while somebody signs."""


@dataclass(frozen=True, slots=True)
class SetupResult:
    """What a run did and what is left.

    `facts` are lines on what was found. `to_do` is what only a person can do, in order; `transactions` what
    the owner has to sign. Nothing is left when both are empty: then the provider is in the market.
    """

    config: ProviderConfig
    operator: Address
    facts: tuple[str, ...]
    files: tuple[FileResult, ...]
    to_do: tuple[str, ...]
    transactions: tuple[UnsignedTransaction, ...] = ()
    running: bool = False

    @property
    def complete(self) -> bool:
        """Whether nothing is left to do."""
        return not self.to_do and not self.transactions

    def lines(self, room: QrRoom | None = None) -> Iterator[str]:
        """For people; with QR codes of what is to be signed where there is *room* for any."""
        yield from self.facts
        yield f"operator's key: {self.operator}"
        yield from (f"{one.path}: {one.state}" for one in self.files)
        if all(one.state == "unchanged" for one in self.files):
            yield "nothing was changed"
        for number, line in enumerate(self.to_do, start=1):
            yield f"to do {number}: {line}"
        for one in self.transactions:
            yield from ("", *transaction_lines(one), *(() if room is None else qr_lines(one, room)))

    def plain(self) -> dict[str, object]:
        """Ready for JSON."""
        return {
            "complete": self.complete,
            "operator": self.operator,
            "facts": list(self.facts),
            "files": {one.path: one.state for one in self.files},
            "toDo": list(self.to_do),
            "transactions": [one.plain() for one in self.transactions],
        }


@dataclass(frozen=True, slots=True)
class Setup:
    """Where it happens: the file of the settings, the daemon's user, the place itself, and whom to ask.

    `wait_s`: for so long the owner's transactions are waited for, once the daemon runs; `waiting` is told
    what is left before the first wait, and again each time that something was signed.
    """

    config_path: Path
    user: ServiceUser
    site: SetupSite
    asking: Asking = NOBODY
    wait_s: float = 0
    waiting: Callable[[SetupResult], None] = lambda _: None


async def set_up(setup: Setup, answers: SetupAnswers) -> SetupResult:
    """Look, ask what is missing, write what is not there yet, and say what is left.

    `BadInput` for an answer that is missing or wrong; what cannot be looked at raises as the doors do, before
    anything is written. The cluster is changed last of all that can fail by an answer.
    """
    existing = load_config(setup.config_path) if setup.config_path.exists() else None
    named = answers.kubeconfig is not None  # not by an earlier run, which may have found it
    answers = answers.over(kept(existing))
    machine = setup.site.machine()
    cluster = await setup.site.cluster(kubeconfig(answers.kubeconfig))
    answers = asked(setup.asking, answers, existing)
    trust = answers.trust or ("sealed" if machine.tee else "open")
    market, rpc = market_of(answers, existing)
    owner = Address(_needed(answers, "owner"))
    found = await setup.site.market(rpc, market, owner, trust)
    prices = asked_prices(setup.asking, answers, existing, found, cluster)
    own_users = asked_user_namespaces(setup.asking, answers, cluster)
    chosen = _chosen(answers, rpc, market, prices, trust, user_namespaces=own_users)
    plan = planned(chosen, str(setup.config_path), cluster, machine, existing)
    operator, key_file = operator_key(Path(plan.config.identity.operator_key_file), setup.user)
    told = list(fact_lines(cluster, machine, found, listed_prices(plan.config.prices)))
    own = await _own_access(setup, named, cluster.kubeconfig)
    if own.file is not None:
        told.append(f"{OWN_ACCOUNT}, by {cluster.kubeconfig}; its token has no end until it is deleted")
        cluster = replace(cluster, kubeconfig=own.file.path)
        plan = planned(chosen, str(setup.config_path), cluster, machine, existing)
    wanted = plan.files if own.file is None else (own.file, *plan.files)  # the settings name it
    files = [put(Path(one.path), one.text, setup.user, private=one.private) for one in wanted]
    result = SetupResult(plan.config, operator, tuple(told), (key_file, *files), ())
    to_do = (*plan.to_do, *_unreadable(setup, cluster.kubeconfig, own.why_not))
    return await _left(setup, replace(plan, to_do=to_do), result)


@dataclass(frozen=True, slots=True)
class _OwnAccess:
    """The daemon's own kubeconfig; None where it needs none, or where there can be none: `why_not`."""

    file: PlannedFile | None = None
    why_not: str | None = None


async def _own_access(setup: Setup, named: bool, path: str) -> _OwnAccess:
    """One where the daemon's user cannot read the one at *path*, such as k3s' of root; *named*: by an answer.

    A kill may have come before ours could be read by its user; one that was made by hand stays as it is.
    """
    if readable_by(Path(path), setup.user):
        return _OwnAccess()
    own = setup.config_path.parent / OWN_KUBECONFIG
    there = read_whole_or_none(own, _MAX_KUBECONFIG, "the daemon's kubeconfig")
    if there is not None:
        text = there.decode(errors="replace")
        if not daemon_account.is_accounts(text):
            return _OwnAccess(why_not=f"{own} is there, and `setup` did not make it")
        if Path(path) == own:
            return _OwnAccess(PlannedFile(str(own), text, private=True))
    if not may_make_account(setup.asking, path, named=named):
        return _OwnAccess(
            why_not="--yes makes one by that kubeconfig, and so does --kubeconfig, which names it"
        )
    try:
        text = await setup.site.own_access(path)
    except Refused as error:
        return _OwnAccess(why_not=str(error))
    return _OwnAccess(PlannedFile(str(own), text, private=True))


def _unreadable(setup: Setup, path: str, why_not: str | None) -> Iterator[str]:
    if not readable_by(Path(path), setup.user):
        why = f"; none was made: {why_not}" if why_not else ""
        yield (
            f"the daemon's user cannot read {path}: give the daemon a kubeconfig of its own "
            "(docs/operator.md, What the daemon may do) at /etc/trustedpods/kubeconfig, mode 0640, "
            f"its group{why}"
        )


async def _left(setup: Setup, plan: SetupPlan, result: SetupResult) -> SetupResult:
    """What a person has to do, and the transactions, waited for as long as was asked for."""
    to_do = list(plan.to_do)
    identity = await setup.site.daemon(plan.config)
    if identity is None:
        units = " ".join(UNITS)
        to_do.append(f"start it: systemctl enable --now {units}; then run this again for the registry row")
        return replace(result, to_do=tuple(to_do))
    others = offered_otherwise(plan.config, identity.profile)
    if others:
        to_do.append(
            f"restart the daemon first, it still runs with other settings ({', '.join(others)}): systemctl "
            f"restart {UNITS[-1]}; then run this again for the registry row"
        )
        files = (*result.files, *_row_file(setup, ()))  # an older row is not to be signed meanwhile
        return replace(result, files=files, to_do=tuple(to_do), running=True)
    transactions = await _unsigned(setup, plan.config, identity, result.operator)
    deadline = trio.current_time() + setup.wait_s
    files, told = (*result.files, *_row_file(setup, transactions)), None
    while True:
        result = replace(result, files=files, to_do=tuple(to_do), transactions=transactions, running=True)
        if not transactions or trio.current_time() >= deadline:
            return result
        if len(transactions) != told:
            setup.waiting(result)
            told = len(transactions)
        await trio.sleep(LOOK_AGAIN_S)
        transactions = await _unsigned(setup, plan.config, identity, result.operator)
        files = (*files, *(one for one in _row_file(setup, transactions) if one.state != "unchanged"))


async def _unsigned(
    setup: Setup, config: ProviderConfig, identity: DaemonIdentity, operator: Address
) -> tuple[UnsignedTransaction, ...]:
    """What is not in the chain yet."""
    found: OwnerFound = await setup.site.owner(config, operator)
    row, market = row_of(config, identity), config.market.market
    left = []
    if differs(found.row, row):
        left.append(registering(market, row))
    if not found.operator_named:
        left += naming_operator(market, row.owner, operator)
    if found.operator_wei == 0:
        left.append(funding(market, operator, FIRST_GAS * max(1, found.gas_price)))
    return tuple(left)


def _row_file(setup: Setup, transactions: tuple[UnsignedTransaction, ...]) -> list[FileResult]:
    """What the owner has to sign, as a file to take along; none where nothing is left.

    Coin for gas is not in it: anybody may send that, and how much changes with its price.
    """
    path = setup.config_path.parent / ROW_FILE
    own = [one.plain() for one in transactions if one.sender is not None]
    if not own:
        return remove(path)
    return [put(path, json.dumps(own, indent=2) + "\n", setup.user, private=False)]


def _chosen(
    answers: SetupAnswers,
    rpc: str,
    market: Market,
    prices: Prices,
    trust: TrustClass,
    *,
    user_namespaces: bool,
) -> Chosen:
    return Chosen(
        domain=_needed(answers, "domain"),
        rpc=rpc,
        market=market,
        owner=_needed(answers, "owner"),
        prices=prices,
        trust=trust,
        region=answers.region or "",
        daemon=FIRST_DAEMON if answers.daemon is None else answers.daemon,
        data=answers.data or DATA,
        public_address=answers.public_address,
        user_namespaces=user_namespaces,
    )


def _needed(answers: SetupAnswers, name: str) -> str:
    value = getattr(answers, name)
    assert isinstance(value, str), name
    return value
