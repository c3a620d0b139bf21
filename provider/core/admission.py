# SPDX-License-Identifier: Apache-2.0
"""Admission: may this pod come, and is its channel good for it? A refusal names rule and number."""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from trustedpods.contracts.records import Channel, meter_tag
from trustedpods.contracts.terms import Terms, least_cap
from trustedpods.protocol.errors import InsufficientFunds, Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.limits import KIB, MAX_UNPACKED, MIB
from trustedpods.protocol.messages.admission import AdmitBody
from trustedpods.protocol.messages.capabilities import AccessMode
from trustedpods.protocol.messages.provider import Capacity, LeastTerms, Prices, ServiceProtocol, TrustClass
from trustedpods.protocol.units import Resources, UnixSeconds
from trustedpods.provider.core.egress import NOT_THE_WORLD, smtp_closed
from trustedpods.provider.core.funds import peak_per_second
from trustedpods.provider.core.pod import PodSize, Scaling

BLOCK_MARGIN_S = 2
"""How far ahead of this machine's clock the chain's may be."""

UPLOAD_PAUSE_S = 900
"""How long a line may be away in all, before or amid an upload."""

SLOWEST_UPLOAD = 16 * KIB
"""Bytes per second, on average, of the slowest upload that is waited for: room is held meanwhile, unpaid."""


def blobs_late(received: int, waited_s: int) -> bool:
    """Whether so many bytes in *waited_s* seconds are too few to go on holding room for the rest."""
    return received < (waited_s - UPLOAD_PAUSE_S) * SLOWEST_UPLOAD


@dataclass(frozen=True, slots=True)
class Offer:
    """What this provider sells, and to whom it may say no."""

    trust: TrustClass
    prices: Prices
    least: LeastTerms
    domain: str
    claim_interval_s: int
    egress_closed: tuple[str, ...] = NOT_THE_WORLD
    peers: tuple[str, ...] = ()
    names: bool = False
    smtp: bool = False
    own_sleep: bool = False
    user_namespaces: bool = False
    tunnels: bool = False
    private_webhooks: bool = False
    max_image_mib: int = MAX_UNPACKED // MIB
    storage_classes: Mapping[str, Sequence[AccessMode]] = field(default_factory=dict)
    csi_drivers: tuple[str, ...] = ()
    seeds: bool = False


def check_csi_drivers(wanted: Iterable[str], offer: Offer) -> None:
    """Refused where a driver is to mount a volume that the operator does not offer to pods."""
    for name in wanted:
        if name not in offer.csi_drivers:
            raise Refused(
                f"CSI driver {name} is not offered here; there is {', '.join(offer.csi_drivers) or 'none'}",
                rule="csi-driver",
                hint="mount a `secret` instead, or choose another provider",
            )


def check_names(asked: bool, offer: Offer) -> None:
    """Refused where the pod calls hosts or pods by name and this provider has no resolver for pods."""
    if asked and not offer.names:
        raise Refused(
            "this provider has no resolver for pods: no host and no pod can be called by name",
            rule="egress",
            hint="write addresses (ipBlock), or deploy to a provider that answers names",
        )


def check_smtp(asked: bool, offer: Offer) -> None:
    """Refused where the pod wants to send mail and the operator lets nobody do so."""
    if asked and not offer.smtp:
        raise smtp_closed("the pod asks for egress to a port of mail")


def check_called_nodes(asked: int, others: int, most: int) -> None:
    """Refused where a publisher's pods would call more than *most* nodes: *asked* by one, others *others*."""
    if asked and asked + others > most:
        raise Refused(
            f"the pod calls {asked} nodes of its network and the publisher's other pods here {others}, "
            f"which is over {most}",
            rule="capacity-called-nodes",
            hint="each takes an address of the cluster: list fewer in spec.network.nodes",
        )


def check_own_sleep(asked: bool, offer: Offer) -> None:
    """Refused where the pod wants to ask for its own sleep and nobody listens."""
    if asked and not offer.own_sleep:
        raise Refused(
            "at this provider no pod can ask for its own sleep",
            rule="own-sleep",
            hint="leave `scale.ownSleep` out: the pod sleeps after `idleAfter`, or choose another provider",
        )


def check_user_namespaces(asked: bool, offer: Offer) -> None:
    """Refused where the pod wants user ids of its own and pods have the node's."""
    if asked and not offer.user_namespaces:
        raise Refused(
            "at this provider pods have no user ids of their own",
            rule="user-namespaces",
            hint="leave `hostUsers` out, or choose another provider",
        )


def check_tunnel(asked: bool, offer: Offer) -> None:
    """Refused where the pod wants an encrypted link to other nodes and nothing here makes one."""
    if asked and not offer.tunnels:
        raise Refused(
            "this provider makes no tunnels between nodes",
            rule="tunnel",
            hint="leave `network.tunnel` out if the software encrypts by itself, or choose another provider",
        )


def check_seeds(asked: bool, offer: Offer) -> None:
    """Refused where a volume is to be seeded and this provider has no program that copies."""
    if asked and not offer.seeds:
        raise Refused(
            "this provider cannot seed volumes: it has no static busybox to copy with",
            rule="seed",
            hint="have the program make its first files, or deploy to another provider",
        )


def check_image_size(image_mib: int, offer: Offer) -> None:
    """Refused where the pod's images take more than any pod's may, however much room there is."""
    if image_mib > offer.max_image_mib:
        raise Refused(
            f"the images take {image_mib} MiB, packed and unpacked; at most {offer.max_image_mib} may be",
            rule="image-size",
        )


def check_size(ask: AdmitBody, free: Capacity) -> Capacity:
    """What is left of *free* when the pod is here with one replica; Refused where it does not fit."""
    if ask.max_replicas < 1:
        raise Refused("a pod needs at least one replica", rule="replicas")
    disk = ask.storage_mib + ask.image_mib + ask.scratch_mib
    needs = (
        ("cpu", ask.cpu_milli, free.cpu_milli, "m"),
        ("memory", ask.memory_mib, free.memory_mib, " MiB"),
        ("storage", disk, free.storage_mib, " MiB"),
    )
    for name, wanted, left, unit in needs:
        if wanted > left:
            raise Refused(f"{name}: {wanted}{unit} wanted, {left}{unit} free", rule=f"capacity-{name}")
    return Capacity(
        cpu_milli=free.cpu_milli - ask.cpu_milli,
        memory_mib=free.memory_mib - ask.memory_mib,
        storage_mib=free.storage_mib - disk,
        services=free.services,
    )


def check_nodes(ask: AdmitBody, nodes: Collection[Resources], free: Capacity) -> None:
    """Refused unless some node has room for a whole replica, whatever all have *free* together."""
    wanted = Resources(ask.cpu_milli, ask.memory_mib, ask.scratch_mib)
    if any(_fits(wanted, node) for node in nodes):
        return
    needs = (
        ("cpu", wanted.cpu_milli, [node.cpu_milli for node in nodes], free.cpu_milli, "m"),
        ("memory", wanted.memory_mib, [node.memory_mib for node in nodes], free.memory_mib, " MiB"),
        ("storage", wanted.storage_mib, [node.storage_mib for node in nodes], free.storage_mib, " MiB"),
    )
    for name, number, found, together, unit in needs:
        most = max(found, default=0)
        if number > most:
            raise Refused(
                f"{name}: {number}{unit} wanted by one replica, {most}{unit} free on the node that has most, "
                f"{together}{unit} on all {len(nodes)}",
                rule=f"capacity-{name}",
            )
    raise Refused(
        f"{wanted.cpu_milli}m, {wanted.memory_mib} MiB, {wanted.storage_mib} MiB of disk wanted by one: "
        f"none of {len(nodes)} nodes has all three free, together they have {free.cpu_milli}m, "
        f"{free.memory_mib} MiB and {free.storage_mib} MiB",
        rule="capacity-node",
    )


def _fits(wanted: Resources, node: Resources) -> bool:
    return (
        wanted.cpu_milli <= node.cpu_milli
        and wanted.memory_mib <= node.memory_mib
        and wanted.storage_mib <= node.storage_mib
    )


def slots_wanted(services: Mapping[str, ServiceProtocol], has: Mapping[str, str]) -> Counter[ServiceProtocol]:
    """New slots of the facade that exposed services need; one that *has* a slot of its kind keeps it."""
    return Counter(protocol for name, protocol in services.items() if has.get(name) != protocol)


def check_slots(wanted: Mapping[ServiceProtocol, int], free: Mapping[ServiceProtocol, int]) -> None:
    """Refused where the facade has fewer free slots of a kind than the pod needs; says it of services."""
    for protocol, number in wanted.items():
        if number > free[protocol]:
            raise Refused(
                f"services: {number} of {protocol} wanted, {free[protocol]} free",
                rule="capacity-services",
                hint="another provider may be able to expose more services of this protocol",
            )


def sellable(free: Capacity, asleep: Iterable[Resources], overcommit: float) -> Capacity:
    """What may still be sold: each sleeping pod keeps its replica's room, divided by the overcommit."""
    kept = kept_for(asleep, overcommit)
    return free.model_copy(
        update={
            "cpu_milli": max(0, free.cpu_milli - kept.cpu_milli),
            "memory_mib": max(0, free.memory_mib - kept.memory_mib),
            "storage_mib": max(0, free.storage_mib - kept.storage_mib),
        }
    )


def kept_for(asleep: Iterable[Resources], overcommit: float) -> Resources:
    """What stays free for sleeping pods: a replica's room of each, all together over the overcommit."""
    sleeping = list(asleep)
    return Resources(
        int(sum(size.cpu_milli for size in sleeping) / overcommit),
        int(sum(size.memory_mib for size in sleeping) / overcommit),
        int(sum(size.storage_mib for size in sleeping) / overcommit),
    )


def check_class(wanted: TrustClass, offer: Offer) -> None:
    """A pod for `sealed` never runs where the operator can read it."""
    if wanted == "sealed" and offer.trust != "sealed":
        raise Refused("the pod wants class sealed, this provider is open", rule="trust")


def check_hosts(hosts: Iterable[str], label: str, domain: str) -> None:
    """No host of the provider's own domain but the pod's own."""
    for host in hosts:
        if host.endswith(f".{domain}") and host != f"{label}.{domain}":
            raise Refused(f"{host} lies in the provider's own domain", rule="hosts")


def hosts_to_prove(hosts: Iterable[str], label: str, domain: str) -> list[str]:
    """Hosts whose control must be proven; `*.localhost` is nobody's."""
    return [host for host in hosts if host != f"{label}.{domain}" and not host.endswith(".localhost")]


PIDS_PER_POD = 1024
"""The kubelet's `podPidsLimit` that docs/operator.md asks for, and the embedded cluster has."""


def check_users(users: Iterable[int], replicas: int, taken: Mapping[int, int], limit: int) -> None:
    """Refused where pods of one user id could have more processes together than the *limit* of all of them.

    *taken* are the replicas that others may run, by user id. Each replica counts with its own bound, so that
    none of them can take the processes of another.
    """
    for user in users:
        left = limit // PIDS_PER_POD - taken.get(user, 0)
        if replicas > left:
            raise Refused(
                f"processes of user {user}: {replicas} replicas wanted, room for {max(0, left)} is left",
                rule="capacity-users",
                hint=f"give the image a user that few have, as `USER {UNCOMMON_USER}`, or lower scale.max",
            )


UNCOMMON_USER = 61_234
"""For a hint: any number will do that is nobody's default."""

LOST_LOOKS = 4
LOST_AFTER_S = 24 * 3600
"""A proof must be seen to be absent in so many looks over so long: zones are mended within a day."""


@dataclass(frozen=True, slots=True)
class HostProof:
    """What DNS said of the control over one host since its proof was last seen."""

    absent_since: UnixSeconds | None = None
    looks: int = 0

    def after(self, found: bool | None, now: UnixSeconds) -> "HostProof":
        """One look more; None, where DNS did not say, changes nothing."""
        if found is None:
            return self
        if found:
            return HostProof()
        return HostProof(now if self.absent_since is None else self.absent_since, self.looks + 1)

    def lost(self, now: UnixSeconds) -> bool:
        """Whether the host is not the pod's any more."""
        return (
            self.absent_since is not None
            and self.looks >= LOST_LOOKS
            and now >= self.absent_since + LOST_AFTER_S
        )


def check_channel(
    channel: Channel,
    offer: Offer,
    meter: Address,
    size: PodSize,
    scaling: Scaling,
    now: UnixSeconds,
    agreed: Terms | None = None,
) -> None:
    """Refused (or InsufficientFunds) unless this channel pays for this pod at the list's prices.

    Its cap must let through the replicas that the pod always has, at least one; it bounds how many more
    there may be (`funds.affordable`). A channel keeps the prices and the notice that were *agreed* for it
    before, whatever the list says now, and may be half spent.
    """
    if channel.meter_tag != meter_tag(meter):
        raise Refused(
            "the channel names another meter than this boot's",
            rule="meter",
            hint="`trustedpods watch` or a deploy moves it to this boot's meter",
        )
    if channel.unlock_at:
        raise Refused(f"an unlock is announced for {channel.unlock_at}", rule="unlock-announced")
    if channel.up_to > now + BLOCK_MARGIN_S:
        raise Refused(f"claimed up to {channel.up_to}, which is to come", rule="up-to")
    terms = channel.terms
    if agreed is None or (agreed.prices, agreed.unlock_s) != (terms.prices, terms.unlock_s):
        _check_terms(channel, offer)
    replicas = max(1, scaling.min_replicas)
    peak = peak_per_second(size, replicas, offer.least.idle_mib)
    if not terms.covers_peak(peak, offer.claim_interval_s):
        raise Refused(
            f"cap {terms.cap_per_day} base units a day, with {replicas} running "
            f"{least_cap(terms.prices, peak, offer.claim_interval_s)} are needed",
            rule="cap",
        )


def _check_terms(channel: Channel, offer: Offer) -> None:
    """Terms that are new here: at least what is asked for now."""
    _check_prices(channel.terms.prices, offer.prices)
    if channel.terms.unlock_s < offer.least.unlock_s:
        raise Refused(
            f"unlock period {channel.terms.unlock_s} s, at least {offer.least.unlock_s} s",
            rule="unlock-period",
        )
    if channel.left < offer.least.deposit:
        raise InsufficientFunds(
            f"{channel.left} base units in the channel, at least {offer.least.deposit}", rule="deposit"
        )


def _check_prices(paid: Prices, listed: Prices) -> None:
    """Each price at least the list's, at whatever scale they are written."""
    for name in ("cpu_core_ms", "memory_mib_s", "storage_mib_s", "egress_kib", "ingress_kib"):
        if getattr(paid, name) << listed.scale < getattr(listed, name) << paid.scale:
            raise Refused(
                f"{name}: {getattr(paid, name)}/2^{paid.scale} offered, "
                f"{getattr(listed, name)}/2^{listed.scale} on the list",
                rule="price",
            )
