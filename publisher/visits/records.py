# SPDX-License-Identifier: Apache-2.0
"""What is remembered of a pod, and how a visit to its provider changes it."""

import time
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from trustedpods.protocol.errors import BadInput, EvidenceRefused, TrustedPodsError
from trustedpods.protocol.ids import address_from_bytes, channel_hex
from trustedpods.protocol.networks.book import NetworkBook
from trustedpods.protocol.units import UnixSeconds
from trustedpods.publisher.context import state_dir
from trustedpods.publisher.core.cost import Shape
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.market.locations import PodLocation
from trustedpods.publisher.market.market import MarketAccount
from trustedpods.publisher.market.session import Session
from trustedpods.publisher.state.pod_records import FOLDER, PodRecord, PodRecords, Provenance, ShapeRecord

if TYPE_CHECKING:
    from trustedpods.protocol.attestation.policy.policy import Policy
    from trustedpods.publisher.results.pods import LastAttestation


def pod_records() -> PodRecords:
    """Where this client keeps what it knows of its pods."""
    return PodRecords(state_dir() / FOLDER)


def mine(account: MarketAccount, journal: Journal) -> list[PodRecord]:
    """The pods of this key in this market that are kept here, by name; damaged records are said."""
    file = account.market.file
    market = (file.chain_id, file.payments, account.publisher.address)
    found = [load(channel, journal) for channel in pod_records().channels()]
    kept = [
        record
        for record in found
        if record and (record.chain_id, record.payments, record.publisher) == market
    ]
    return sorted(kept, key=lambda record: record.name)


def load(channel: str, journal: Journal) -> PodRecord | None:
    """What is kept of a channel; a damaged record is said and counts as none."""
    try:
        return pod_records().load(channel)
    except BadInput as error:
        journal.show.warning(f"{error}")
        return None


def newest(record: PodRecord, journal: Journal) -> PodRecord:
    """The record as it is by now: a deploy may have changed it while this command waited for the provider."""
    return load(record.channel, journal) or record


def begin(account: MarketAccount, name: str, location: PodLocation) -> PodRecord:
    """A record of a pod that nothing is known of yet; its class is that of the provider's row."""
    file, row = account.market.file, location.row
    return PodRecord(
        name=name,
        channel=channel_hex(location.ref.channel),
        chain_id=file.chain_id,
        payments=file.payments,
        publisher=account.publisher.address,
        owner=row.owner,
        daemon=row.daemon,
        trust=row.trust,
        policy=None,
        shape=None,
    )


def attested(record: PodRecord, session: Session, policy: "Policy") -> PodRecord:
    """The record after this machine was verified against *policy* just now."""
    return record.model_copy(
        update={
            "boot": session.binding.boot_id.hex(),
            "meter": address_from_bytes(session.binding.meter),
            "simulated": session.verdict.simulated,
            "label": policy.label,
            "attested_at": int(time.time()),
            "refused": "",
            "refused_at": 0,
        }
    )


def refused(record: PodRecord, error: EvidenceRefused) -> PodRecord:
    """The record after its provider stopped verifying; the first refusal since it last did counts."""
    first = record.refused_at or int(time.time())
    return record.model_copy(update={"refused": str(error)[:500], "refused_at": first})


def grown(record: PodRecord, shape: Shape) -> PodRecord:
    """The record when a manifest is handed over: bounds only grow, as older usage may still be billed."""
    new = asdict(shape)
    known = {} if record.shape is None else record.shape.model_dump()
    largest = {name: max(value, known.get(name, 0)) for name, value in new.items()}
    return record.model_copy(update={"shape": ShapeRecord(**largest)})


def sent_under(record: PodRecord, provenance: Provenance) -> PodRecord:
    """The record of the bundle that is kept: a release sends it under that trust, from those images."""
    return record.model_copy(
        update={
            "images": tuple(provenance.images),
            "trust": provenance.trust,
            "policy": provenance.policy,
        }
    )


@dataclass(frozen=True, slots=True)
class NodePlace:
    """A node's `network` as FOUNDER/NAME, its `cluster` there, and the nodes that are `external` to all."""

    network: str
    cluster: str
    external: tuple[str, ...] = ()


def of_network(record: PodRecord, place: NodePlace) -> PodRecord:
    """The record of a node of a network."""
    update = {"network": place.network, "cluster": place.cluster, "external": list(place.external)}
    return record.model_copy(update=update)


def keep_book(account: MarketAccount, channel: str, book: NetworkBook, journal: Journal) -> None:
    """Keep the newest *book* that a node was told in the bundle that is kept of it; nothing without one."""
    kept, secret = pod_records(), account.publisher.secret
    try:
        bundle = kept.bundle(channel, secret)
        if bundle is not None:
            kept.keep_bundle(channel, secret, bundle.model_copy(update={"book": book}))
    except TrustedPodsError as error:
        journal.show.warning(f"{error}")


def shape_of_record(record: PodRecord) -> Shape | None:
    """The bounds for the pod's usage, where they are known."""
    return None if record.shape is None else Shape(**record.shape.model_dump())


def keep(record: PodRecord, journal: Journal) -> None:
    """Save it; where that is not possible the verb goes on, and says so."""
    try:
        pod_records().save(record)
    except TrustedPodsError as error:
        journal.show.warning(f"{error}")


def last_attestation(record: PodRecord) -> "LastAttestation":
    """When the provider last verified, and against what."""
    from trustedpods.publisher.results.pods import LastAttestation  # noqa: PLC0415 - 13 ms; a deploy needs none

    return LastAttestation(
        at=UnixSeconds(record.attested_at) if record.attested_at else None,
        policy=record.policy,
        label=record.label,
        boot=record.boot,
        refused=record.refused or None,
        refused_at=UnixSeconds(record.refused_at) if record.refused_at else None,
    )
