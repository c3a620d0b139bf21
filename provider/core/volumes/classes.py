# SPDX-License-Identifier: Apache-2.0
"""Storage classes that a pod's volumes name, and what each lets be done with a volume."""

from collections.abc import Iterable, Mapping, Sequence

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import VolumeAsk
from trustedpods.protocol.messages.capabilities import AccessMode

USUAL: Sequence[AccessMode] = ("ReadWriteOnce",)
"""What the cluster's default class can, of which nothing is advertised."""


def check_default(wanted: Iterable[VolumeAsk], default: str) -> None:
    """Refused where a volume names no storage class and the cluster has no *default* one (empty)."""
    for one in wanted:
        if one.storage_class is None and not default:
            raise Refused(
                f"the volume {one.name} names no storage class, and the cluster has no default one",
                rule="storage-class",
                hint="name a class (`trustedpods provider inspect PROVIDER` lists them), "
                "or choose another provider",
            )


def check_classes(wanted: Iterable[VolumeAsk], offered: Mapping[str, Sequence[AccessMode]]) -> None:
    """Refused where a volume names a storage class that is not *offered*, or cannot do what it asks of it."""
    for one in wanted:
        name = one.storage_class
        if name is not None and name not in offered:
            raise Refused(
                f"storage class {name} is not offered here; there is {', '.join(offered) or 'none by name'}",
                rule="storage-class",
                hint="leave `storageClassName` out for the provider's default, or choose another provider",
            )
        modes = USUAL if name is None else offered[name]
        if one.access_mode not in modes:
            raise Refused(
                f"the volume {one.name} is to be {one.access_mode}, which the storage class "
                f"{name or '(default)'} cannot; it has {', '.join(modes)}",
                rule="access-mode",
                hint="have one replica and ReadWriteOnce, or choose another class or provider",
            )
