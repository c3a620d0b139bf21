# SPDX-License-Identifier: Apache-2.0
"""Names of libp2p protocols that our peers serve, as multistream-select negotiates them for each stream.

The number at the end of a name changes when an old peer would misunderstand; a host may serve both.
"""

from typing import Final, NewType

ProtocolId = NewType("ProtocolId", str)
"""Name of a libp2p protocol: a path that ends in a version."""

PROVIDER: Final = ProtocolId("/trustedpods/1.0.0")
"""A publisher's conversations with a provider's daemon: attestation, and requests about pods."""

OPERATOR: Final = ProtocolId("/trustedpods/operator/1.0.0")
"""An operator's questions to his daemon from outside its machine: one question and one answer a stream."""
