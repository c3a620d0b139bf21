# SPDX-License-Identifier: Apache-2.0
"""What a request is about: a pod, or a network of pods.

A request names its subject by three signed fields: the owner of the provider that is asked, the
publisher whose it is, and a salt. What kind of thing they name is said by the verb, which is signed
too and belongs to one kind only (`messages/verbs.py`). So no field had to be added for it, what is
signed about pods keeps its bytes, and a signature about a pod is never one about a network. A new
kind of subject is a class here, a group of verbs, and its bytes in `bound_bytes`.
"""

from dataclasses import dataclass
from typing import Final, get_args

from trustedpods.protocol.ids import CHANNEL_ID_BITS, Address, PodRef
from trustedpods.protocol.messages.verbs import NetworkVerb, Verb

_NETWORK_VERBS: Final = get_args(NetworkVerb)


@dataclass(frozen=True, slots=True)
class NetworkRef:
    """A network of pods, as one provider is asked about it: `publisher` founded it, `salt` is its name's.

    Any member signs requests about it. Who is one, and may do what, says the network's document.
    """

    owner: Address
    publisher: Address
    salt: bytes


Subject = PodRef | NetworkRef


def subject_of(verb: Verb, owner: Address, publisher: Address, salt: bytes) -> Subject:
    """What the three names of a request with *verb* mean."""
    return (NetworkRef if verb in _NETWORK_VERBS else PodRef)(owner, publisher, salt)


def bound_bytes(subject: Subject) -> bytes:
    """What a request's sealed body is bound to besides its publisher.

    Of a pod the 24 bytes of its channel, of a network the 32 bytes of its salt; the verb, which is bound
    too, says which.
    """
    match subject:
        case PodRef():
            return subject.channel.to_bytes(CHANNEL_ID_BITS // 8, "big")
        case NetworkRef():
            return subject.salt


def may_sign(signer: Address, subject: Subject) -> bool:
    """Whether a signature of *signer* counts at all for *subject*: for a pod its publisher's alone."""
    return isinstance(subject, NetworkRef) or signer == subject.publisher
