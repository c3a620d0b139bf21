# SPDX-License-Identifier: Apache-2.0
"""What one publisher's pods may take together, as the operator's settings say. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass

from trustedpods.protocol.errors import Refused


@dataclass(frozen=True, slots=True)
class PublisherShare:
    """Pods, and what their replicas take where all run that may: thousandths of a core, MiB of memory."""

    pods: int = 0
    cpu_milli: int = 0
    memory_mib: int = 0


@dataclass(frozen=True, slots=True)
class PublisherQuota:
    """The most of each; None is any number."""

    pods: int | None = None
    cpu_milli: int | None = None
    memory_mib: int | None = None

    @property
    def bounds(self) -> bool:
        """Whether there is any."""
        return any(one is not None for one in (self.pods, self.cpu_milli, self.memory_mib))


def share_of(replica_cpu_milli: int, replica_memory_mib: int, max_replicas: int) -> PublisherShare:
    """Of one pod, with all replicas that it may have: what is asked for is what may be taken."""
    replicas = max(1, max_replicas)
    return PublisherShare(1, replica_cpu_milli * replicas, replica_memory_mib * replicas)


def room_of(there: Iterable[PublisherShare], quota: PublisherQuota) -> PublisherQuota:
    """What a publisher whose pods have *there* may still take; None is any number, as in the quota."""
    held = list(there)

    def left(most: int | None, name: str) -> int | None:
        return None if most is None else max(0, most - sum(getattr(one, name) for one in held))

    return PublisherQuota(
        left(quota.pods, "pods"), left(quota.cpu_milli, "cpu_milli"), left(quota.memory_mib, "memory_mib")
    )


def check_quota(asked: PublisherShare, others: Iterable[PublisherShare], quota: PublisherQuota) -> None:
    """Refused (rule `capacity-publisher`) where *asked* and a publisher's *others* are over the quota."""
    there = list(others)
    for name, unit in (("pods", "pods"), ("cpu_milli", "m of CPU"), ("memory_mib", "MiB of memory")):
        most, mine = getattr(quota, name), getattr(asked, name)
        taken = sum(getattr(one, name) for one in there)
        if most is not None and taken + mine > most:
            raise Refused(
                f"one publisher's pods may take {most} {unit} here: this one asks for {mine}, "
                f"and the others have {taken}: {max(0, most - taken)} are left",
                rule="capacity-publisher",
                hint="delete another pod here, ask for less or fewer replicas, or choose another provider",
            )
