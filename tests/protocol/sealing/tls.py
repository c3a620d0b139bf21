# SPDX-License-Identifier: Apache-2.0
"""A TLS handshake in memory, by OpenSSL: one who trusts a bundle calls one who has a certificate."""

import ssl
from pathlib import Path


def handshake(
    folder: Path, bundle: str, certificate: bytes, key: bytes, name: str, *, strict: bool = False
) -> None:
    """Both ends have *certificate*, and ask for one that *bundle* trusts; ssl.SSLError where one refuses.

    *strict*: by the letter of RFC 5280, as `openssl verify -x509_strict`.
    """
    chain, private = folder / "chain.pem", folder / "key.pem"
    chain.write_bytes(certificate)
    private.write_bytes(key)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    for one in (server, client):
        one.load_cert_chain(chain, private)
        one.load_verify_locations(cadata=bundle)
        one.verify_mode = ssl.CERT_REQUIRED
        one.verify_flags &= ~ssl.VERIFY_X509_STRICT
        if strict:
            one.verify_flags |= ssl.VERIFY_X509_STRICT
    ways = ssl.MemoryBIO(), ssl.MemoryBIO()
    ends = [
        client.wrap_bio(ways[0], ways[1], server_hostname=name),
        server.wrap_bio(ways[1], ways[0], server_side=True),
    ]
    for _ in range(4):  # more than the flights of a handshake
        for end in ends:
            try:
                end.do_handshake()
            except ssl.SSLWantReadError:
                continue
    for end in ends:
        end.do_handshake()
