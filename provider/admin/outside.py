# SPDX-License-Identifier: Apache-2.0
"""What the machine around the daemon must give: clock, disk, names, ports, gas, and a valid certificate."""

import os
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import trio
from cryptography import x509

from trustedpods.contracts.client import Chain
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import NoContext
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.net.addresses import PeerAddress
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.admin.socket import ask_daemon
from trustedpods.provider.admin.views import Overview, OverviewRequest, PodList, PodsRequest
from trustedpods.provider.config import ProviderConfig
from trustedpods.provider.core.certificates.outlook import ALARMS, days_left, outlook
from trustedpods.provider.core.certificates.renewal import renewal_due
from trustedpods.provider.core.certificates.types import RenewalState
from trustedpods.provider.core.settlement import GAS_FIXED, GAS_PER_ITEM
from trustedpods.provider.dns.upstream import Upstream
from trustedpods.provider.facade.haproxy.tls import PROVIDER
from trustedpods.provider.keys.file import read_key

AHEAD_S = 15
"""No block is from the future: chains allow their clocks some seconds, so a chain ahead of us means that we
are late. Then proofs and tokens of ours are from the past."""

BEHIND_S = 180
"""Public chains make a block every few seconds to a minute: an older head is a node that stands still, or a
clock of ours that runs ahead."""

HEARTBEAT_GAS = 30_000
"""Once a day, as measured."""

LEAST_GAS_DAYS = 7
"""Time for the owner to hear of it and to send some."""

LEAST_CERTIFICATE_DAYS = 14
"""An authority may need days; self-made ones are renewed a month before their end."""

CONNECT_WITHIN_S = 2.0
"""A port of this machine answers in milliseconds."""

_ACME_HINT = "the daemon orders by itself: is it running? Its log has each try (docs/operator.md, TLS)"
_DAY_S = 86_400
_OWN_ROOT = "Trusted Pods "


async def clock(config: ProviderConfig) -> str:
    """Whether this machine's time is the chain's."""
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        head = await chain.head()
    return clock_against(int(time.time()), head.time)


def clock_against(now: int, block: int) -> str:
    """What the difference means; NoContext where it is too large. Pure."""
    if block - now > AHEAD_S:
        raise NoContext(
            f"this machine's clock is {block - now} s behind the chain",
            hint="let it be set: timedatectl set-ntp true, or install chrony",
        )
    if now - block > BEHIND_S:
        raise NoContext(
            f"the newest block is {now - block} s old: the node stands still, or our clock is ahead",
            hint="timedatectl shows whether the clock is set; else take another rpc in [market]",
        )
    return f"{now - block} s after the newest block"


async def disk(config: ProviderConfig) -> str:
    """Whether books and blobs have room, also where no daemon runs to be asked."""
    needed = config.store.reserve_mib + config.store.min_free_mib
    told = []
    for use, text in (("books", config.store.path), ("blobs", config.store.spool)):
        folder = next(one for one in Path(text).parents if one.is_dir())
        found = os.statvfs(folder)
        free = found.f_bavail * found.f_frsize // MIB
        if free < needed:
            raise NoContext(
                f"{free} MiB are free for {use}, {needed} are needed",
                where=str(folder),
                hint="make room, or move [store] of the configuration to a larger disk",
            )
        told.append(f"{free} MiB free for {use}")
    return ", ".join(told)


async def names(config: ProviderConfig) -> str:
    """Whether the domain and any name under it lead here."""
    domain = config.identity.domain
    if domain.endswith(".localhost"):
        return "names under localhost lead each machine to itself"
    upstream = Upstream(config.facade.resolvers)
    label = f"doctor-{secrets.token_hex(4)}.{domain}"
    found = {host: (await upstream.addresses(host)).addresses for host in (label, domain)}
    ours = [*config.net.announce, *config.net.listen]
    return names_lead_here(domain, found[label], found[domain], list(_hosts(ours)))


def names_lead_here(domain: str, wildcard: Sequence[str], itself: Sequence[str], ours: Sequence[str]) -> str:
    """What DNS' answers mean for a provider at these addresses; NoContext says what is wrong. Pure."""
    if not wildcard:
        raise NoContext(
            f"*.{domain} leads nowhere, so no pod can be reached",
            hint=f"a record in DNS: *.{domain} A {ours[0]}",
        )
    others = sorted(set(wildcard) - set(ours))
    if others and not any(host == domain or host.endswith(f".{domain}") for host in ours):
        raise NoContext(
            f"*.{domain} leads to {', '.join(others)}, and this machine is told at {', '.join(ours)}",
            hint="mend the record, or write the address in front into net.announce",
        )
    own = "" if itself else f"; {domain} itself leads nowhere, which only people miss"
    return f"*.{domain} leads to {', '.join(wildcard)}{own}"


async def ports(config: ProviderConfig) -> str:
    """Whether something of ours answers at each way in, as far as this machine can tell."""
    here = next(_hosts(config.net.listen))
    ways = {
        "http": (config.facade.binds, "trustedpods-haproxy"),
        "https": (config.facade.tls_binds, "trustedpods-haproxy"),
        "clients": ([_host_port(one) for one in config.net.listen], "trustedpods-provider"),
    }
    told = []
    for use, (binds, unit) in ways.items():
        places = [_place(bind, here) for bind in binds]
        if places and not any([await _answers(*place) for place in places]):
            listed = ", ".join(f"{host}:{port}" for host, port in places)
            raise NoContext(
                f"nothing answers at {listed}, which is for {use}", hint=f"systemctl start {unit}"
            )
        told += [str(port) for _, port in places[-1:]]
    return (
        f"{', '.join(told)} answer on this machine; only another can tell whether the world gets there: "
        f"nc -vz {here} {told[-1]}"
    )


async def gas(config: ProviderConfig) -> str:
    """For how many days the operator's coin lasts at today's price and number of pods."""
    async with Chain(config.market.rpcs, config.market.market, agree=config.market.rpc_agree) as chain:
        wei = await chain.gas_balance(address_of(read_key(Path(config.identity.operator_key_file))))
        price = await chain.gas_price()
    try:
        pods = len((await ask_daemon(config.admin_socket, PodsRequest(), PodList)).pods)
    except NoContext:
        pods = 1
    told = gas_lasts(wei, price, max(1, pods), config.terms.claim_interval_s)
    return f"{told}{await _gas_of_today(config)}"


async def _gas_of_today(config: ProviderConfig) -> str:
    """What the running daemon spent today, and what it holds back; nothing where there is no bound."""
    if config.gas.most_wei_per_day is None:
        return ""
    try:
        today = (await ask_daemon(config.admin_socket, OverviewRequest(most=0), Overview)).gas_today
    except NoContext:
        return f"; at most {config.gas.most_wei_per_day} wei a day"
    waiting = 0 if today is None else sum(today.waiting.values())
    spent = "?" if today is None or today.spent is None else today.spent
    held = f", and {waiting} wait for midnight UTC" if waiting else ""
    return f"; {spent} of at most {config.gas.most_wei_per_day} wei are spent today (UTC){held}"


def gas_lasts(wei: int, price: int, pods: int, claim_interval_s: int) -> str:
    """Days of heartbeats and claims that *wei* pays for; NoContext where they are few. Pure.

    An upper bound of the cost: claims that would not pay their gas are not sent.
    """
    claims = _DAY_S / claim_interval_s
    a_day = HEARTBEAT_GAS + claims * (GAS_FIXED + GAS_PER_ITEM * pods)
    days = wei / (a_day * max(1, price))
    told = (
        f"{wei} wei last {days:.0f} days at {price} wei a unit, with {pods} pods and {claims:g} claims a day"
    )
    if days < LEAST_GAS_DAYS:
        raise NoContext(
            told, hint="send coin to the operator's address (line keys); claim less often, if often"
        )
    return told


async def certificate(config: ProviderConfig) -> str:
    """Until when the certificate of https is good."""
    if not config.facade.tls_binds:
        return "no https is served: no tls_binds are configured"
    file = config.facade.tls_dir(config.identity.keys_dir) / f"{PROVIDER}.pem"
    try:
        pem = await trio.Path(file).read_bytes()
        leaf = x509.load_pem_x509_certificates(pem)[0]
    except (OSError, ValueError) as error:
        raise NoContext(
            f"there is no certificate yet: {error}",
            where=str(file),
            hint="the daemon makes one when it starts",
        ) from None
    if config.tls.acme is not None:
        state = await trio.to_thread.run_sync(OrderFiles(config.acme_dir).state)
        wanted = config.tls.acme.names_for(config.identity.domain)
        return ordered_lasts(state, wanted, int(time.time()))
    return certificate_lasts(leaf, config.facade.certificate_file, datetime.now(UTC))


def ordered_lasts(state: RenewalState, wanted: Sequence[str], now: int) -> str:
    """How a certificate of [tls] acme stands that is to be for *wanted*; NoContext if somebody must look."""
    how, held = outlook(state, now), state.held
    trouble = f"; the last try failed: {state.problem}" if state.problem else ""
    if held is None:
        raise NoContext(
            f"no certificate is ordered yet, a self-made one is shown{trouble}",
            where="tls.acme",
            hint=_ACME_HINT,
        )
    end = datetime.fromtimestamp(held.not_after, UTC)
    days = days_left(held.not_after, now)
    if how in ALARMS:
        told = "has ended" if days < 0 else f"ends in {days} days"
        raise NoContext(
            f"the certificate {told}, on {end:%Y-%m-%d}, and was not renewed{trouble}",
            where="tls.acme",
            hint=_ACME_HINT,
        )
    if missing := [name for name in wanted if name not in held.names]:
        raise NoContext(
            f"the certificate is not for {', '.join(missing)} yet{trouble}", where="tls.acme", hint=_ACME_HINT
        )
    due = datetime.fromtimestamp(renewal_due(held), UTC)
    return f"by ACME, until {end:%Y-%m-%d} ({days} days), renewed from {due:%Y-%m-%d} on{trouble}"


def certificate_lasts(leaf: x509.Certificate, configured: str | None, now: datetime) -> str:
    """What clients see of it; NoContext where it is about to end, or is not the configured one. Pure."""
    end, days = leaf.not_valid_after_utc, (leaf.not_valid_after_utc - now).days
    self_made = _OWN_ROOT in leaf.issuer.rfc4514_string()
    if self_made and configured is not None:
        raise NoContext(
            "a self-made certificate is shown, as the configured one cannot be used",
            where=configured,
            hint="its log says why; make it anew with tls-request: the key is another after each boot",
        )
    if days < LEAST_CERTIFICATE_DAYS:
        raise NoContext(
            f"the certificate of https ends on {end:%Y-%m-%d}, in {days} days",
            hint="trustedpods-provider tls-request, have it signed, replace certificate_file"
            if not self_made
            else "the daemon renews it by itself: is it running?",
        )
    kind = "self-made, so browsers warn of it" if self_made else "by an authority"
    return f"{kind}, until {end:%Y-%m-%d} ({days} days)"


def _hosts(addresses: Iterable[str]) -> Iterator[str]:
    for address in addresses:
        yield PeerAddress.parse(address).host


def _host_port(address: str) -> str:
    parsed = PeerAddress.parse(address)
    return f"{parsed.host}:{parsed.port}"


def _place(bind: str, here: str) -> tuple[str, int]:
    """Where a bind of HAProxy's is reached from this machine."""
    host, _, port = bind.rpartition(":")
    return (here if host in {"*", "", "0.0.0.0", "[::]"} else host.strip("[]")), int(port)  # noqa: S104


async def _answers(host: str, port: int) -> bool:
    try:
        with trio.fail_after(CONNECT_WITHIN_S):
            stream = await trio.open_tcp_stream(host, port)
    except (OSError, trio.TooSlowError):
        return False
    await stream.aclose()
    return True
