# SPDX-License-Identifier: Apache-2.0
"""The sizes of a pod's claims: what an update may change, what is asked for, and what is billed of it."""

from collections.abc import Mapping
from dataclasses import dataclass

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.messages.admission import VolumeAsk

_ELSEWHERE = (
    "or deploy a pod of another name with that size, copy the data into it (`trustedpods exec`), "
    "and delete this one"
)


@dataclass(frozen=True, slots=True)
class StoredVolume:
    """A claim as the cluster has it, in MiB: what was asked for, and what was given (None: nothing yet).

    Its class and its access mode stay for its life. `at_node`: its volume is larger already, and the node
    does its part when a replica mounts it. `trouble` is why it does not grow, as its driver says.
    """

    asked: int
    given: int | None = None
    storage_class: str | None = None
    access_mode: str = "ReadWriteOnce"
    at_node: bool = False
    trouble: str | None = None

    @property
    def granted(self) -> int:
        """What is there of what was asked for: a class may round up, and an expansion takes its time."""
        return self.asked if self.given is None else min(self.asked, self.given)

    @property
    def reserved(self) -> int:
        """What it takes of the cluster's room: also what it is still growing to."""
        return max(self.asked, self.given or 0)


def check_volumes(before: Mapping[str, int], after: Mapping[str, int]) -> None:
    """An update keeps the pod's claims, by name with MiB; 0 where the size before is not known.

    Refused where one would be lost, or would have to become smaller, which no volume can.
    """
    for name, mib in before.items():
        if name not in after:
            raise Refused(
                f"the pod has a volume {name}, which its newer version lacks",
                rule="volumes",
                hint="keep the volume, or delete the pod with all its data and deploy it anew",
            )
        if after[name] < mib:
            raise Refused(
                f"the volume {name} has {mib} MiB, and {after[name]} in the newer version: none gets smaller",
                rule="volumes",
                hint=f"keep the size, {_ELSEWHERE}",
            )


def check_kind(wanted: Mapping[str, VolumeAsk], stored: Mapping[str, StoredVolume]) -> None:
    """Refused where a claim would have to be of another class, or be mounted in another way."""
    for name, ask in wanted.items():
        one = stored.get(name)
        if one is None:
            continue
        for field, has, wants in (
            ("storageClassName", one.storage_class, ask.storage_class or one.storage_class),
            ("accessMode", one.access_mode, ask.access_mode),
        ):
            if has != wants:
                raise Refused(
                    f"the volume {name} has {field} {has}, which cannot become {wants}",
                    rule="volumes",
                    hint=f"keep it, {_ELSEWHERE.replace('that size', 'it')}",
                )


def check_growth(
    wanted: Mapping[str, int], stored: Mapping[str, StoredVolume], grows: Mapping[str, bool]
) -> None:
    """Refused, by the class's name, where a claim is to grow whose class does not allow it.

    *grows* has whether volumes of each class of the cluster can.
    """
    for name, mib in wanted.items():
        one = stored.get(name)
        if one is None or mib <= one.asked:
            continue
        if one.storage_class is None or not grows.get(one.storage_class, False):
            raise Refused(
                f"the volume {name} has {one.asked} MiB of the storage class "
                f"{one.storage_class or '(none)'}, whose volumes cannot grow to {mib}",
                rule="volumes",
                hint=f"keep the size, {_ELSEWHERE}",
            )


def requests(wanted: Mapping[str, int], stored: Mapping[str, StoredVolume]) -> dict[str, int]:
    """MiB to ask for of each claim: never less than it was, also for a version that wants less."""
    return {name: max(mib, stored[name].asked if name in stored else 0) for name, mib in wanted.items()}


def granted(wanted: Mapping[str, int], stored: Mapping[str, StoredVolume]) -> dict[str, int]:
    """MiB of each claim that are billed: what is granted now; of one that is not there what is wanted.

    What a failed update has made larger stays so, and is billed so.
    """
    return {name: stored[name].granted if name in stored else mib for name, mib in wanted.items()}


def growing(
    wanted: Mapping[str, int], stored: Mapping[str, StoredVolume], *, before_start: bool
) -> str | None:
    """Which claim is still smaller than *wanted*, and why as far as it is told; None where none is.

    *before_start*: what its node does is not waited for, since that needs a replica.
    """
    for name, mib in wanted.items():
        one = stored.get(name)
        if one is not None and one.granted < mib and not (before_start and one.at_node):
            why = "" if one.trouble is None else f": {one.trouble}"
            return f"{name} has {one.granted} of {mib} MiB{why}"
    return None
