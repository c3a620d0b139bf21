# SPDX-License-Identifier: Apache-2.0
"""Clusters of a network as people write them: a name, the daemon that it is, and the way to it. Pure."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks.content import MAX_CLUSTERS
from trustedpods.protocol.networks.members import check_network_name
from trustedpods.publisher.core.select import Choice, parse_choice

KUBE = "kube:"
"""Begins the name of a context of the user's kubeconfig."""

MAX_KUBE_CONTEXT = 256
"""Letters of such a name; the longest that clouds make are the names of their clusters, of 150."""

FORMS = "NAME=OWNER[/N], NAME=OWNER/N@MULTIADDR, or NAME=OWNER/N[@/p2p/ID]@kube:CONTEXT"

_PEER = re.compile(r"/p2p/[1-9A-HJ-NP-Za-km-z]{32,64}")
_ADDRESS = re.compile(rf"/(?:ip4|ip6|dns|dns4|dns6)/[0-9A-Za-z.:\-]{{1,253}}/tcp/\d{{1,5}}{_PEER.pattern}")


@dataclass(frozen=True, slots=True)
class ReachedChoice(Choice):
    """A cluster's daemon, and the way to it: where the registry does not say it, or another one is taken.

    `address` is a multiaddr that ends in /p2p/ and its id. With `kube_context` the way is a port-forward
    by the API server of that context; `address` is then /p2p/ and its id, or empty: that of its row.
    """

    address: str = ""
    kube_context: str | None = None

    @property
    def pinned(self) -> bool:
        """Whether it is known without the registry who must answer."""
        return bool(self.address)

    def __str__(self) -> str:
        """As `parse_cluster` reads it."""
        parts = [f"{self.owner}/{self.daemon}", *([self.address] if self.address else [])]
        return "@".join([*parts, *([f"{KUBE}{self.kube_context}"] if self.kube_context else [])])


def parse_cluster(text: str, where: str = "--cluster") -> tuple[str, Choice]:
    """*text* is one of `FORMS`. Raises BadInput."""
    name, equals, provider = text.partition("=")
    if not equals:
        raise BadInput(f"not a cluster: {text[:80]!r}", where=where, hint=f"write {FORMS}")
    who, at, way = provider.partition("@")
    choice = parse_choice(who)
    return check_network_name(name), _reached(choice, way, where) if at else choice


def _reached(choice: Choice, way: str, where: str) -> ReachedChoice:
    address, context = _parts(way)
    pattern = _ADDRESS if context is None else _PEER
    sound = pattern.fullmatch(address) or (context is not None and not address)
    if not sound or (context is not None and not 0 < len(context) <= MAX_KUBE_CONTEXT):
        raise BadInput(f"not a way to a cluster: {way[:160]!r}", where=where, hint=f"write {FORMS}")
    if choice.daemon is None:
        raise BadInput(
            f"which daemon of {choice.owner} is it?", where=where, hint=f"write OWNER/N before @{way[:80]}"
        )
    return ReachedChoice(choice.owner, choice.daemon, address, context)


def _parts(way: str) -> tuple[str, str | None]:
    """Address and context. A context's name may hold any letters, an address none of `@`."""
    if way.startswith(KUBE):
        return "", way.removeprefix(KUBE)
    address, separator, context = way.partition(f"@{KUBE}")
    return (address or "@", context) if separator else (address, None)


def parse_clusters(texts: Sequence[str], *, of_context: bool = False) -> dict[str, Choice]:
    """All of *texts*, each name once. Raises BadInput.

    MAX_CLUSTERS at most, as one network has; a context may have those of many networks.
    """
    found: dict[str, Choice] = {}
    for text in texts:
        name, choice = parse_cluster(text)
        if name in found:
            raise BadInput(
                f"not a cluster, or named twice: {text[:80]!r}",
                where="--cluster",
                hint=f"write {FORMS}, each name once",
            )
        found[name] = choice
    if len(found) > MAX_CLUSTERS and not of_context:
        raise BadInput(f"{len(found)} clusters; at most {MAX_CLUSTERS}", where="--cluster")
    return found
