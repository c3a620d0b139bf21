# SPDX-License-Identifier: Apache-2.0
"""Who may ask what about a network. Pure.

Until a network's document names a team, its founder is the only member.
"""

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import Address
from trustedpods.protocol.networks.documents import Copy, Question
from trustedpods.protocol.sealing.subjects import NetworkRef


def check(network: NetworkRef, copy: Copy, question: Question, signer: Address) -> None:
    """Refused (rule `member`) where *signer* may not ask this of a cluster that holds *copy*."""
    del copy, question  # they say more once there are teams
    if signer != network.publisher:
        raise Refused(f"{signer} is no member of this network", rule="member")
