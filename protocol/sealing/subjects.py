# SPDX-License-Identifier: Apache-2.0
"""What a request is about: a pod, and later a network of pods.

A request names its subject by three signed fields: the owner of the provider that is asked, the
publisher who commands, and a salt. What kind of thing they name is said by the verb, which is signed
too and belongs to one kind only (`messages/verbs.py`). So no field had to be added for it, what is
signed about pods keeps its bytes, and a signature about a pod is never one about a network. A new
kind of subject is a class here, a group of verbs, and its bytes in `bound_bytes`.
"""

from dataclasses import dataclass
from typing import Final, get_args

from trustedpods.protocol.errors import Refused
from trustedpods.protocol.ids import CHANNEL_ID_BITS, Address, PodRef
from trustedpods.protocol.messages.verbs import NetworkVerb, Verb

_NETWORK_VERBS: Final = get_args(NetworkVerb)


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """A publisher's network of pods, as one provider is asked about it."""

    owner: Address
    publisher: Address
    salt: bytes


Subject = PodRef | NetworkRef


def subject_of(verb: Verb, owner: Address, publisher: Address, salt: bytes) -> Subject:
    """What the three names of a request with *verb* mean."""
    return (NetworkRef if verb in _NETWORK_VERBS else PodRef)(owner, publisher, salt)


def bound_bytes(subject: Subject) -> bytes:
    """What a request's sealed body is bound to besides its publisher: of a pod the 24 bytes of its channel.

    Refused (rule `subject`) for a network, by either side.
    """
    match subject:
        case PodRef():
            return subject.channel.to_bytes(CHANNEL_ID_BITS // 8, "big")
        case NetworkRef():
            raise Refused("requests about networks: not supported yet", rule="subject")
