# SPDX-License-Identifier: Apache-2.0
"""What the model of a Network manifest cannot say: names that are used twice, and a team without an owner."""

from collections.abc import Iterator

from trustedpods.manifests.check.names import repeated
from trustedpods.manifests.network.model import NetworkManifest
from trustedpods.manifests.problem import Location, Problem
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import parse_address


def network_problems(manifest: NetworkManifest) -> Iterator[Problem]:
    """Everything that is wrong between the parts of *manifest*."""
    yield from repeated(("spec", "nodes"), [node.name for node in manifest.spec.nodes])
    if (founder := manifest.metadata.founder) is not None:
        yield from _checksum(founder, ("metadata", "founder"))
    members = manifest.spec.members
    if members is None:
        return
    seen: set[str] = set()
    for index, member in enumerate(members):
        at: Location = ("spec", "members", index, "address")
        yield from _checksum(member.address, at)
        if member.address.lower() in seen:
            yield Problem(at, f"the address {member.address} is used twice")
        seen.add(member.address.lower())
    if not any(member.role == "owner" for member in members):
        yield Problem(("spec", "members"), "no owner: somebody must be able to change members")


def _checksum(address: str, at: Location) -> Iterator[Problem]:
    try:
        parse_address(address)
    except BadInput as error:
        yield Problem(at, error.what)
