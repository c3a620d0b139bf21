# SPDX-License-Identifier: Apache-2.0
"""Changes to a zone of the operator's: TXT records by signed updates (RFC 2136, RFC 8945).

Over TCP, and the server's answer must be signed with the same key.
"""

import base64
import binascii
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

import dns.asyncbackend
import dns.asyncquery
import dns.exception
import dns.name
import dns.rcode
import dns.tsig
import dns.update

from trustedpods.protocol.errors import BadInput, NetworkFailure

UPDATE_WITHIN_S = 20.0
"""A server writes to its disk before it answers."""

TTL_S = 60
"""What a resolver may keep of a challenge: the next one is another."""

MAX_KEY_FILE = 4096

_KEY = re.compile(r'key\s+"?([^\s"{]+)"?\s*\{([^}]*)\}', re.IGNORECASE)
_WORD = re.compile(r'(algorithm|secret)\s+"?([^\s";]+)"?\s*;', re.IGNORECASE)
_ALGORITHMS = {"hmac-sha256", "hmac-sha384", "hmac-sha512"}


@dataclass(frozen=True, slots=True, repr=False)
class UpdateKey:
    """A key that a server knows by its name; `secret` are its bytes."""

    name: str
    algorithm: str
    secret: bytes


def parse_update_key(text: str, where: str) -> UpdateKey:
    """A key as `tsig-keygen` writes it; BadInput otherwise."""
    found = _KEY.search(text)
    words = {word.lower(): value for word, value in _WORD.findall(found[2])} if found else {}
    if found is None or words.keys() != {"algorithm", "secret"}:
        raise BadInput("this is no key of `tsig-keygen`", where=where, hint="tsig-keygen -a hmac-sha256 NAME")
    if words["algorithm"].lower() not in _ALGORITHMS:
        raise BadInput(f"the algorithm is none of {', '.join(sorted(_ALGORITHMS))}", where=where)
    try:
        secret = base64.b64decode(words["secret"], validate=True)
    except binascii.Error:
        raise BadInput("the secret is not in base64", where=where) from None
    return UpdateKey(found[1], words["algorithm"].lower(), secret)


def read_update_key(path: Path) -> UpdateKey:
    """The key in a file; BadInput where it is none."""
    try:
        with path.open() as file:
            return parse_update_key(file.read(MAX_KEY_FILE), str(path))
    except (OSError, ValueError) as failed:
        raise BadInput(f"the key cannot be read: {failed}", where=str(path)) from None


class ZoneUpdates:
    """Updates of one *zone* at *server* (ADDRESS:PORT), signed with *key*."""

    def __init__(self, server: str, zone: str, key: UpdateKey) -> None:
        host, _, port = server.rpartition(":")
        self._host, self._port, self._server = host.strip("[]"), int(port), server
        self._zone = zone
        self._key = key

    async def add_texts(self, name: str, texts: Iterable[str]) -> None:
        """Have *texts* stand at *name*, beside what is there. NetworkFailure if that is not sure."""
        with self._told():
            update = self._update()
            for text in texts:
                update.add(dns.name.from_text(name), TTL_S, "TXT", f'"{text}"')
        await self._send(update)

    async def remove_texts(self, name: str, texts: Iterable[str]) -> None:
        """Take them away, and nothing else."""
        with self._told():
            update = self._update()
            for text in texts:
                update.delete(dns.name.from_text(name), "TXT", f'"{text}"')
        await self._send(update)

    def _update(self) -> dns.update.UpdateMessage:
        key = dns.tsig.Key(self._key.name, self._key.secret, self._key.algorithm)
        return dns.update.UpdateMessage(self._zone, keyring=key)

    @contextmanager
    def _told(self) -> Iterator[None]:
        """The library's errors, of names too, as NetworkFailure."""
        try:
            yield
        except (dns.exception.DNSException, OSError, ValueError) as failed:
            told = str(failed) or type(failed).__name__
            raise NetworkFailure(f"the zone was not changed: {told}", where=f"DNS {self._server}") from None

    async def _send(self, update: dns.update.UpdateMessage) -> None:
        with self._told():
            answer = await dns.asyncquery.tcp(
                update,
                str(ip_address(self._host)),
                timeout=UPDATE_WITHIN_S,
                port=self._port,
                backend=dns.asyncbackend.get_backend("trio"),
            )
        if answer.rcode() != dns.rcode.NOERROR:
            word = dns.rcode.to_text(answer.rcode())
            raise NetworkFailure(
                f"the zone {self._zone} was not changed: {word}",
                where=f"DNS {self._server}",
                hint="may the key change TXT records there (update-policy)?",
            )
