# SPDX-License-Identifier: Apache-2.0
"""Certificates for TLS of a pod, signed with the key that it is known by, and renewed before they end. Pure.

Whoever calls the pod trusts that key (`protocol/sealing/trust_anchors.py`), so a renewed certificate is
trusted at once, and nobody is told of it.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustedpods.manifests.spec.volume import Generated
from trustedpods.protocol.errors import Refused
from trustedpods.protocol.sealing.trust_anchors import issuer_of
from trustedpods.protocol.units import UnixSeconds
from trustedpods.provider.core.generated.key_pairs import private_key
from trustedpods.provider.core.generated.values import MadeFiles

VALID_FOR: Final = timedelta(days=90)
"""A key that leaked from a machine is of use for so long to who stole nothing but a certificate."""

RENEWED_BEFORE: Final = timedelta(days=30)
"""A provider may be away for so long, and its pods' certificates are still good when it is back."""

BEGINS_BEFORE: Final = timedelta(hours=1)
"""Clocks of other machines may be behind by so much."""

MAX_CERTIFICATE: Final = 4096
"""Bytes of a file with one; they have 900."""

_SERIAL_BYTES: Final = 16


def with_certificates(
    wanted: Mapping[str, Generated],
    made: MadeFiles,
    kept: Sequence[MadeFiles],
    random: Callable[[int], bytes],
    now: UnixSeconds,
) -> MadeFiles:
    """*made*, with the certificates of all its keys: the first of those *kept* that is good for long enough.

    *random* bytes become serial numbers, *now* is Unix seconds. Refused (rule
    `generated-key`) where a key is none.
    """
    files = dict(made.files)
    for key_file, form in wanted.items():
        for file, name in form.certificates.items():
            key = _signing_key(key_file, made.files[key_file], form)
            there = (one.files[file] for one in kept if file in one.files)
            good = next((text for text in there if not _is_due(text, key, name, now)), None)
            files[file] = _issued(key, name, random, now) if good is None else good
    return MadeFiles(files, made.renewals)


def any_due(wanted: Mapping[str, Generated], held: MadeFiles, now: UnixSeconds) -> bool:
    """Whether a certificate that is *held* is to be renewed *now* (Unix seconds).

    Refused (rule `generated-key`) where a key that is held is none.
    """
    return any(
        _is_due(held.files.get(file, b""), _signing_key(key_file, held.files[key_file], form), name, now)
        for key_file, form in wanted.items()
        if form.certificates and key_file in held.files
        for file, name in form.certificates.items()
    )


def _signing_key(file: str, content: bytes, form: Generated) -> ec.EllipticCurvePrivateKey:
    key = private_key(content, form.type)
    if not isinstance(key, ec.EllipticCurvePrivateKey):  # what stands in the cluster is not ours alone
        raise Refused(
            f"{file} holds no {form.type} key any more, so it signs no certificates",
            rule="generated-key",
            hint="a higher `renewal` in the manifest makes another one",
        )
    return key


def _is_due(content: bytes, key: ec.EllipticCurvePrivateKey, name: str, now: UnixSeconds) -> bool:
    """Whether *content* is anything but a certificate of *key* for *name* that is good for long enough."""
    if len(content) > MAX_CERTIFICATE:
        return True
    try:
        found = x509.load_pem_x509_certificate(content)
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        same = found.public_key() == key.public_key() and found.issuer == issuer_of(key.public_key())
    except (ValueError, x509.ExtensionNotFound):
        return True
    at = datetime.fromtimestamp(now, UTC)
    in_time = found.not_valid_before_utc <= at < found.not_valid_after_utc - RENEWED_BEFORE
    return not (same and in_time and list(names) == [x509.DNSName(name)])


def _issued(
    key: ec.EllipticCurvePrivateKey, name: str, random: Callable[[int], bytes], now: UnixSeconds
) -> bytes:
    """A certificate of a server and a client that is called *name*, as PEM."""
    public, at = key.public_key(), datetime.fromtimestamp(now, UTC)
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    serial = (int.from_bytes(random(_SERIAL_BYTES), "big") >> 1) + 1  # positive, and at most 20 bytes of DER
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "node")])
    builder = x509.CertificateBuilder(
        issuer_of(public), subject, public, serial, at - BEGINS_BEFORE, at + VALID_FOR
    )
    parts = [
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (usage, True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]), False),
        (x509.SubjectAlternativeName([x509.DNSName(name)]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(public), False),
    ]
    for part, critical in parts:
        builder = builder.add_extension(part, critical=critical)
    return builder.sign(key, SHA256()).public_bytes(Encoding.PEM)
