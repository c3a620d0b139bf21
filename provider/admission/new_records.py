# SPDX-License-Identifier: Apache-2.0
"""The record that an accepted bundle makes: a life that begins, or the next version of one."""

from dataclasses import replace

from trustedpods.protocol.ids import address_from_bytes, namespace_name
from trustedpods.protocol.sealing.requests import OpenedRequest
from trustedpods.provider.core.pod import ENDED, Phase, PodRecord
from trustedpods.provider.doors import Doors
from trustedpods.provider.pods.bundles import OpenBundle


def next_record(
    doors: Doors, record: PodRecord | None, stored: bytes, request: OpenedRequest, opened: OpenBundle
) -> PodRecord:
    """An update keeps the pod's life; a pod that is new, or has ended, begins one. *stored*: the request."""
    if record is None or record.phase in ENDED:
        phase = Phase.RECEIVED if record is None else record.phase
        return _new_life(doors, phase, stored, request, opened)
    return replace(
        record,
        generation=request.generation,
        boot_id=doors.keys.boot_id,
        meter=doors.meter,
        request=stored,
        previous=record.fallback,
        size=opened.size,
        scaling=opened.scaling(doors.config.terms.idle_after_s),
        changed_at=doors.now(),
    )


def _new_life(
    doors: Doors, phase: Phase, stored: bytes, request: OpenedRequest, opened: OpenBundle
) -> PodRecord:
    """Before its first step, which leaves *phase*. Only this bundle's keys may command it from now on."""
    return PodRecord(
        ref=request.ref,
        commanders=tuple(address_from_bytes(raw) for raw in opened.bundle.commanders),
        generation=request.generation,
        boot_id=doors.keys.boot_id,
        request=stored,
        previous=None,
        namespace=(namespace := namespace_name(request.ref.channel, request.generation)),
        first_namespace=namespace,
        exposures={},
        phase=phase,
        reason="",
        live=False,
        size=opened.size,
        scaling=opened.scaling(doors.config.terms.idle_after_s),
        meter=doors.meter,
        terms=None,
        chain=None,
        statement=None,
        changed_at=doors.now(),
        stopped_at=None,
        warned=False,
        failing=False,
    )
