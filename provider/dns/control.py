# SPDX-License-Identifier: Apache-2.0
"""Does whoever deploys a pod control the host that it is to be reached under?

The proof is a TXT record at `_trustedpods.HOST`. It holds the pod's host label, or for all pods of one
publisher a digest of the publisher's address, which says nothing to others.
"""

import hashlib
from collections.abc import Sequence

import dns.asyncbackend
import dns.exception
import dns.resolver

from trustedpods.protocol.errors import NetworkFailure, Refused
from trustedpods.provider.dns.upstream import resolver

LABEL = "_trustedpods"
LIMIT_S = 5.0
"""All questions for one name, with their repetitions."""

_TAG = b"trusted-pods/host\0"


def publisher_proof(publisher: bytes) -> str:
    """What a publisher (20 bytes of address) may write once for all pods."""
    return "publisher-" + hashlib.sha256(_TAG + publisher).hexdigest()[:32]


class Resolver:
    """Asks *servers* (ADDRESS or ADDRESS:PORT), or this machine's; *within_s* for each name."""

    def __init__(self, servers: Sequence[str] = (), within_s: float = LIMIT_S) -> None:
        self._servers = tuple(servers)
        self._within_s = within_s

    async def texts(self, name: str) -> list[str]:
        """The TXT records of *name*; none if there is no such name. NetworkFailure without an answer."""
        try:
            answer = await resolver(self._servers).resolve(
                name, "TXT", lifetime=self._within_s, backend=dns.asyncbackend.get_backend("trio")
            )
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        except (dns.exception.DNSException, OSError) as failed:
            raise NetworkFailure(f"DNS does not say: {failed}", where=name) from None
        return [b"".join(record.strings).decode(errors="replace") for record in answer]

    async def check_control(self, host: str, proofs: Sequence[str]) -> None:
        """Refused (rule `hosts`) unless one of *proofs* stands at the host's name."""
        name = f"{LABEL}.{host}"
        found = await self.texts(name)
        if not any(text.strip() in proofs for text in found):
            raise Refused(
                f"no proof that you control {host}: no TXT record {name} says {' or '.join(proofs)}",
                rule="hosts",
                hint="make that record, wait until it is seen, and deploy again",
            )
