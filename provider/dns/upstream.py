# SPDX-License-Identifier: Apache-2.0
"""Questions to resolvers that answer for the whole world: the operator's, or this machine's own.

dnspython gives each question a random id and a port of its own, takes an answer only from whom it asked, and
asks again over TCP where an answer was cut.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from trustedpods.protocol.errors import NetworkFailure

ANSWER_WITHIN_S = 4.0
"""All repetitions of one question: a C library in a pod gives up after five seconds."""


@dataclass(frozen=True, slots=True)
class HostAddresses:
    """The IPv4 addresses of a name, behind all of its aliases, and the least time on the way to them.

    None where there is no such name, or it has no such address.
    """

    addresses: tuple[str, ...]
    ttl_s: int


class Upstream:
    """Asks *servers* (ADDRESS or ADDRESS:PORT), or those of this machine if there are none."""

    def __init__(self, servers: Sequence[str] = (), within_s: float = ANSWER_WITHIN_S) -> None:
        self._servers = tuple(servers)
        self._within_s = within_s

    async def addresses(self, host: str) -> HostAddresses:
        """What *host* means now. NetworkFailure without an answer, which says nothing of the name."""
        try:
            answer = await resolver(self._servers).resolve(
                dns.name.from_text(host),
                "A",
                lifetime=self._within_s,
                raise_on_no_answer=False,
                backend=dns.asyncbackend.get_backend("trio"),
            )
        except dns.resolver.NXDOMAIN:
            return HostAddresses((), 0)
        except (dns.exception.DNSException, OSError) as failed:
            raise NetworkFailure(f"DNS does not say: {failed}", where=host) from None
        found = [record.address for record in answer.rrset or () if record.rdtype == dns.rdatatype.A]
        return HostAddresses(tuple(found), int(answer.chaining_result.minimum_ttl))


def resolver(servers: Sequence[str]) -> dns.asyncresolver.Resolver:
    """One that asks *servers*, or this machine's."""
    made = dns.asyncresolver.Resolver(configure=not servers)
    if servers:
        made.nameservers = [_address(server)[0] for server in servers]
        made.nameserver_ports = dict(map(_address, servers))
    return made


def _address(server: str) -> tuple[str, int]:
    host, colon, port = server.rpartition(":")
    try:
        return str(ip_address(server.strip("[]"))), 53
    except ValueError:
        return (host.strip("[]"), int(port)) if colon else (server, 53)
