# SPDX-License-Identifier: Apache-2.0
"""Clusters of a network as people write them: a name, and the provider that it is. Pure."""

from collections.abc import Sequence

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.networks.content import MAX_CLUSTERS
from trustedpods.protocol.networks.members import check_network_name
from trustedpods.publisher.core.select import Choice, parse_choice


def parse_cluster(text: str, where: str = "--cluster") -> tuple[str, Choice]:
    """*text* is NAME=OWNER or NAME=OWNER/N. Raises BadInput."""
    name, equals, provider = text.partition("=")
    if not equals:
        raise BadInput(f"not a cluster: {text[:80]!r}", where=where, hint="write NAME=OWNER or NAME=OWNER/N")
    return check_network_name(name), parse_choice(provider)


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
                hint="write NAME=OWNER or NAME=OWNER/N, each name once",
            )
        found[name] = choice
    if len(found) > MAX_CLUSTERS and not of_context:
        raise BadInput(f"{len(found)} clusters; at most {MAX_CLUSTERS}", where="--cluster")
    return found
