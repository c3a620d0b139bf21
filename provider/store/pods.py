# SPDX-License-Identifier: Apache-2.0
"""Pod records in and out of the database."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import Any

from sqlalchemy import Row, and_, delete, not_, or_, select

from trustedpods.protocol.ids import Address, ChannelId, PodRef, channel_hex
from trustedpods.protocol.units import TokenUnits, UnixSeconds
from trustedpods.provider.core.pod import (
    ENDED,
    LOST_STATEMENT,
    ChannelFact,
    FacadeWay,
    NodePort,
    Phase,
    PodRecord,
    PodSize,
    Scaling,
    ServiceExposure,
)
from trustedpods.provider.store.database import Tx
from trustedpods.provider.store.engines.dialects import insert
from trustedpods.provider.store.tables import EVENTS, KEPT_LOGS, PODS


@dataclass(frozen=True, slots=True)
class LongEnded:
    """What a process has to know of a pod that ended long ago; its record stays in the books.

    `known_to_pay` is the record's.
    """

    channel: ChannelId
    generation: int
    known_to_pay: bool


def save(tx: Tx, record: PodRecord) -> None:
    """Write the record, over an older one of the same channel."""
    values = _values(tx, record)
    statement = insert(tx.connection, PODS).values(values)
    tx.connection.execute(statement.on_conflict_do_update(index_elements=["channel"], set_=values))


def erase(tx: Tx, channel: ChannelId) -> None:
    """Take a pod, its history and its last logs out, as if it had never been here."""
    key = channel_hex(channel)
    for table in (EVENTS, KEPT_LOGS, PODS):
        tx.connection.execute(delete(table).where(table.c.channel == key))


def load(tx: Tx, channel: ChannelId) -> PodRecord | None:
    """The record of a channel, if there ever was one."""
    row = tx.connection.execute(select(PODS).where(PODS.c.channel == channel_hex(channel))).one_or_none()
    return None if row is None else _record(tx, row)


def load_standing(tx: Tx) -> list[PodRecord]:
    """Every pod that has not ended."""
    query = select(PODS).where(PODS.c.phase.not_in([str(phase) for phase in ENDED]))
    return [_record(tx, row) for row in tx.connection.execute(query)]


def load_all(tx: Tx) -> list[PodRecord]:
    """Every pod that there ever was, the ended ones too."""
    return [_record(tx, row) for row in tx.connection.execute(select(PODS))]


def load_at_start(tx: Tx, before: UnixSeconds) -> tuple[list[PodRecord], list[LongEnded]]:
    """Every pod that stands or that changed from *before* on; all others, which are all that ever were."""
    phases = [str(phase) for phase in ENDED]
    long_ended = and_(PODS.c.phase.in_(phases), PODS.c.changed_at < before)
    records = tx.connection.execute(select(PODS).where(not_(long_ended)))
    paid = or_(PODS.c.chain_left.is_not(None), PODS.c.sealed_statement.is_not(None))
    few = tx.connection.execute(select(PODS.c.channel, PODS.c.generation, paid).where(long_ended))
    old = [LongEnded(ChannelId(int(key, 16)), generation, bool(payer)) for key, generation, payer in few]
    return [_record(tx, row) for row in records], old


def _values(tx: Tx, record: PodRecord) -> dict[str, Any]:
    statement, chain = record.statement, record.chain
    return {
        "channel": channel_hex(record.channel),
        "owner": record.ref.owner,
        "publisher": record.ref.publisher,
        "salt": record.ref.salt,
        "commanders": " ".join(record.commanders),
        "generation": record.generation,
        "boot_id": record.boot_id,
        "request": record.request,
        "previous": record.previous,
        "namespace": record.namespace,
        "exposures": _exposures_text(record.exposures),
        "phase": str(record.phase),
        "sealed_reason": tx.vault.seal_text(record.reason),
        "live": record.live,
        "cpu_milli": record.size.cpu_milli,
        "memory_mib": record.size.memory_mib,
        "volume_mib": record.size.volume_mib,
        "image_mib": record.size.image_mib,
        "scratch_mib": record.size.scratch_mib,
        "scale_least": record.scaling.min_replicas,
        "scale_most": record.scaling.max_replicas,
        "idle_after_s": record.scaling.idle_after_s,
        "concurrency": record.scaling.concurrency,
        "meter": record.meter,
        "terms": None if record.terms is None else str(record.terms),
        "chain_left": None if chain is None else str(chain.left),
        "chain_up_to": None if chain is None else chain.up_to,
        "chain_unlock_at": None if chain is None else chain.unlock_at,
        "sealed_statement": None if statement is None else tx.vault.seal(statement),
        "changed_at": record.changed_at,
        "stopped_at": record.stopped_at,
        "warned": record.warned,
        "failing": record.failing,
        "version": record.version,
        "applied": record.applied,
        "first_namespace": record.first_namespace,
        "other": record.other,
        "outliving": json.dumps(dict(record.outliving)),
        "retained": record.retained,
        "parked_at": record.parked_at,
    }


def _record(tx: Tx, row: Row[Any]) -> PodRecord:
    return PodRecord(
        ref=PodRef(Address(row.owner), Address(row.publisher), row.salt),
        commanders=tuple(Address(text) for text in row.commanders.split()),
        generation=row.generation,
        boot_id=row.boot_id,
        request=row.request,
        previous=row.previous,
        namespace=row.namespace,
        exposures=_exposures(row.exposures),
        phase=Phase(row.phase),
        reason=tx.vault.open_text(row.sealed_reason),
        live=row.live,
        size=PodSize(row.cpu_milli, row.memory_mib, row.volume_mib, row.image_mib, row.scratch_mib),
        scaling=Scaling(row.scale_least, row.scale_most, row.idle_after_s, row.concurrency),
        meter=Address(row.meter),
        terms=None if row.terms is None else int(row.terms),
        chain=_chain(row),
        statement=_statement(tx, row.sealed_statement),
        changed_at=UnixSeconds(row.changed_at),
        stopped_at=None if row.stopped_at is None else UnixSeconds(row.stopped_at),
        warned=row.warned,
        failing=row.failing,
        version=row.version,
        applied=row.applied,
        first_namespace=row.first_namespace,
        other=row.other,
        outliving=json.loads(row.outliving),
        retained=row.retained,
        parked_at=None if row.parked_at is None else UnixSeconds(row.parked_at),
    )


def _statement(tx: Tx, sealed: bytes | None) -> bytes | None:
    """What an earlier boot sealed does not open; that there was something still counts."""
    if sealed is None:
        return None
    opened = tx.vault.open(sealed)
    return LOST_STATEMENT if opened is None else opened


def _exposures_text(exposures: Mapping[str, ServiceExposure]) -> str:
    """JSON: each service's word, port, address in the cluster, ports on nodes and way by the facade."""
    return json.dumps(
        {
            service: [
                one.expose,
                one.port,
                one.cluster_ip,
                [astuple(port) for port in one.node_ports],
                one.addresses,
                None if one.way is None else asdict(one.way),
            ]
            for service, one in exposures.items()
        }
    )


def _exposures(text: str) -> dict[str, ServiceExposure]:
    return {service: _exposure(*fields) for service, fields in json.loads(text).items()}


def _exposure(
    expose: str,
    port: int | None = None,
    cluster_ip: str | None = None,
    node_ports: Sequence[tuple[str, int, int]] = (),
    addresses: Sequence[str] = (),
    way: Mapping[str, Any] | None = None,
) -> ServiceExposure:
    ports = tuple(NodePort(*one) for one in node_ports)
    led = None if way is None else FacadeWay(**{**way, "routes": tuple(way["routes"])})
    return ServiceExposure(expose, port, cluster_ip, ports, tuple(addresses), led)


def _chain(row: Row[Any]) -> ChannelFact | None:
    if row.chain_left is None:
        return None
    return ChannelFact(
        TokenUnits(int(row.chain_left)), UnixSeconds(row.chain_up_to), UnixSeconds(row.chain_unlock_at)
    )
