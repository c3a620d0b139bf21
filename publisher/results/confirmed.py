# SPDX-License-Identifier: Apache-2.0
"""What a provider confirms of a pod."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from trustedpods.contracts.terms import Terms
from trustedpods.protocol.messages.pod import Endpoint, Statement
from trustedpods.protocol.units import UnixSeconds


@dataclass(frozen=True, slots=True)
class ConfirmedPod:
    """What the provider signed with its attested key: where the pod is reached, which images run, its terms.

    `images` are digests by container. `generation` grows with every request that changed the pod. `identity`
    is the public half of the key that it is known by (SubjectPublicKeyInfo), empty where it has none.
    """

    endpoints: tuple[Endpoint, ...]
    images: Mapping[str, str]
    namespace: str
    generation: int
    terms: Terms
    issued_at: UnixSeconds
    identity: bytes = b""

    @classmethod
    def of(cls, statement: Statement) -> Self:
        """A statement whose signature was verified."""
        return cls(
            endpoints=tuple(statement.endpoints),
            images=dict(statement.images),
            namespace=statement.namespace,
            generation=statement.generation,
            terms=Terms.unpack(statement.terms),
            issued_at=UnixSeconds(statement.issued_at),
            identity=statement.identity,
        )
