# SPDX-License-Identifier: Apache-2.0
"""A namespace of the cluster in memory, and its volume claims: who makes them, and how they grow."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.cluster.api.errors import ImmutableChange
from trustedpods.provider.cluster.objects.names import KubeObject
from trustedpods.provider.cluster.objects.sizes import mebibytes
from trustedpods.provider.cluster.views import PodView, VolumeClaimView
from trustedpods.provider.core.volumes.growth import StoredVolume

CLAIM = "PersistentVolumeClaim"
DEFAULT_CLASS = "local-path"


@dataclass
class FakeLife:
    """One namespace: the objects that were applied, how many replicas are wanted, and those there are."""

    name: str
    label: str
    created: int
    objects: dict[tuple[str, str], KubeObject] = field(default_factory=dict)
    wanted: int = 0
    pods: dict[str, PodView] = field(default_factory=dict)
    costs: dict[str, int] = field(default_factory=dict)
    notes: dict[str, tuple[str, str]] = field(default_factory=dict)
    proven: dict[str, int] = field(default_factory=dict)
    given: dict[str, int] = field(default_factory=dict)
    deleting: bool = False


def make(life: FakeLife, ordinal: int) -> None:
    """What a StatefulSet's controller makes for a replica: the claims of its templates that are missing."""
    templates = life.objects.get(("StatefulSet", "pod"), {"spec": {}})["spec"].get("volumeClaimTemplates", [])
    for claim in templates:
        life.objects.setdefault((CLAIM, f"{claim['metadata']['name']}-pod-{ordinal}"), claim)


def check(before: KubeObject, wanted: KubeObject, grows: Mapping[str, bool]) -> None:
    """As Kubernetes: none gets smaller, and one gets larger only where its class says so."""
    allowed = grows[before["spec"].get("storageClassName", DEFAULT_CLASS)]
    if _asked(wanted) < _asked(before) or (_asked(wanted) > _asked(before) and not allowed):
        raise ImmutableChange("spec.resources.requests.storage: Forbidden", rule="Invalid")


def views_of(life: FakeLife, *, expands: bool, at_node: bool) -> list[VolumeClaimView]:
    """The claims as they are now; with *expands* each has what was asked for, else *at_node* is missing."""
    found = [(name, claim) for (kind, name), claim in life.objects.items() if kind == CLAIM]
    for name, claim in found:
        given = life.given.setdefault(name, _asked(claim))
        life.given[name] = max(given, _asked(claim)) if expands else given
    return [
        VolumeClaimView(
            life.name,
            name,
            f"uid-{life.name}-{name}",
            life.label,
            life.given[name],
            UnixSeconds(life.created),
            None,
            StoredVolume(
                _asked(claim),
                life.given[name],
                claim["spec"].get("storageClassName", DEFAULT_CLASS),
                at_node=at_node and not expands,
                trouble=None if expands or at_node else "no room in the array",
            ),
            proven=life.proven.get(name),
        )
        for name, claim in found
    ]


def _asked(claim: KubeObject) -> int:
    return mebibytes(claim["spec"]["resources"]["requests"]["storage"])
