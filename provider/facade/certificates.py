# SPDX-License-Identifier: Apache-2.0
"""Certificates and their keys: the provider's own, made inside, and what publishers bring. Pure."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustedpods.protocol.errors import Refused

MAX_PEM = 64 * 1024
"""A chain of four certificates with RSA keys of 4096 bits is 9 KB."""

MAX_CHAIN = 8
RSA_BITS = range(2048, 4096 + 1)
"""What HAProxy loads at OpenSSL's security level 2, and what a handshake may cost: that of a key of 15360
bits takes 0.2 s of the thread that all tenants share."""

_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
_HASHES = (hashes.SHA256, hashes.SHA384, hashes.SHA512)
"""With others OpenSSL does not load a chain; HAProxy then does not start, for anybody."""

VALID = timedelta(days=90)
_BEFORE = timedelta(hours=1)  # for clients whose clock is behind

TlsKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


@dataclass(frozen=True, slots=True)
class Certificate:
    """A chain and its key, as HAProxy reads them, and the names for which it is shown.

    No names: for all that the certificate itself holds, and for clients that name none.
    """

    pem: bytes
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Authority:
    """A root of the provider's own, for a localnet or until there is a public certificate."""

    key: ec.EllipticCurvePrivateKey
    certificate: x509.Certificate

    @classmethod
    def make(cls, name: str, now: datetime) -> "Authority":
        """A new one."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = _name(f"Trusted Pods {name}"[:64])
        made = _builder(subject, subject, key.public_key(), now).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        made = made.add_extension(_usage(signs_certificates=True), critical=True)
        return cls(key, made.sign(key, hashes.SHA256()))

    def issue(self, names: Sequence[str], key: TlsKey, now: datetime) -> Certificate:
        """A certificate for *key*, whose first name is also its subject."""
        made = _builder(_name(names[0][:64]), self.certificate.subject, key.public_key(), now)
        made = made.add_extension(_alternatives(names), critical=False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        made = made.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        made = made.add_extension(_usage(signs_certificates=False), critical=True)
        made = made.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False
        )
        leaf = made.sign(self.key, hashes.SHA256())
        return Certificate(certificate_pem(leaf) + key_pem(key))


def request(names: Sequence[str], key: TlsKey) -> bytes:
    """A signing request (PEM) for a public authority; the key stays inside."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(names[0][:64]))
    made = builder.add_extension(_alternatives(names), critical=False).sign(key, hashes.SHA256())
    return made.public_bytes(serialization.Encoding.PEM)


def provider_names(domain: str) -> list[str]:
    """What the provider's own certificate is for: every pod's host."""
    return [domain, f"*.{domain}"]


def certificate_of(
    chain: bytes, key: bytes, names: Iterable[str], now: datetime | None, *, alone: bool = False
) -> Certificate:
    """A publisher's or an authority's certificate with its key (PEM), checked; Refused (rule `tls`).

    *now* None: one that was taken before, and may have expired since. Its clients are told by their own.
    *alone*: who serves it goes by what the certificate says, and so that may be no other name.
    """
    wanted = tuple(names)
    certificates, private = _read(chain, key)
    _check_strength(certificates)
    leaf = certificates[0]
    if leaf.public_key() != private.public_key():
        raise Refused("tls.key is not the key of tls.crt", rule="tls")
    if now is not None and now > leaf.not_valid_after_utc:
        raise Refused(f"tls.crt was valid until {leaf.not_valid_after_utc:%Y-%m-%d}", rule="tls")
    held = names_of(leaf)
    for name in wanted:
        if not _covers(held, name):
            raise Refused(f"tls.crt is not for {name}, but for {', '.join(sorted(held))}", rule="tls")
    if alone and (beyond := _all_names_of(leaf, held) - set(wanted)):
        raise Refused(
            f"tls.crt is for {min(beyond)!r} too, which is no host of the service",
            rule="tls",
            hint="a controller chooses certificates by their names: take one for the service's hosts alone",
        )
    return Certificate(_chain_pem(certificates) + key_pem(private), wanted)


def as_read(chain: bytes, key: bytes) -> tuple[bytes, bytes]:
    """A chain and its key (PEM) as `certificate_of` understands them, and nothing else that was in the files.

    For servers that read PEM by themselves: one that knows other labels, or another order, would show a
    certificate that nobody checked.
    """
    certificates, private = _read(chain, key)
    return _chain_pem(certificates), key_pem(private)


def _read(chain: bytes, key: bytes) -> tuple[list[x509.Certificate], TlsKey]:
    if len(chain) + len(key) > MAX_PEM:
        raise Refused("certificate and key are too large", rule="tls")
    try:
        certificates = x509.load_pem_x509_certificates(chain)
        private = serialization.load_pem_private_key(key, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as bad:
        raise Refused(f"tls.crt or tls.key cannot be read: {bad}", rule="tls") from None
    if not isinstance(private, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise Refused("tls.key is neither an EC nor an RSA key", rule="tls")
    return certificates, private


def _chain_pem(chain: Iterable[x509.Certificate]) -> bytes:
    return b"".join(map(certificate_pem, chain))


def _check_strength(chain: Sequence[x509.Certificate]) -> None:
    """Refused unless the facade's TLS loads every certificate of the chain, at a bounded cost."""
    if len(chain) > MAX_CHAIN:
        raise Refused(f"tls.crt holds {len(chain)} certificates, at most {MAX_CHAIN} may be", rule="tls")
    for number, one in enumerate(chain, start=1):
        try:
            public, signed = one.public_key(), one.signature_hash_algorithm
        except (ValueError, UnsupportedAlgorithm) as bad:
            raise Refused(f"certificate {number} of tls.crt cannot be read: {bad}", rule="tls") from None
        good = (isinstance(public, rsa.RSAPublicKey) and public.key_size in RSA_BITS) or (
            isinstance(public, ec.EllipticCurvePublicKey) and isinstance(public.curve, _CURVES)
        )
        if not good or not isinstance(signed, _HASHES):
            raise Refused(
                f"certificate {number} of tls.crt has a key or a signature that is not served",
                rule="tls",
                hint="RSA of 2048 to 4096 bits or EC (P-256, P-384, P-521), signed with SHA-2",
            )


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """One certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_pem(key: TlsKey) -> bytes:
    """A key as PEM, not encrypted: it only ever lies in memory."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def throwaway(now: datetime) -> Certificate:
    """What HAProxy shows until the daemon has brought the real one: nobody trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    return Authority.make("not ready", now).issue(["not-ready.invalid"], key, now)


def names_of(certificate: x509.Certificate) -> set[str]:
    """The names of hosts, in small letters, that a certificate is for."""
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    except (x509.ExtensionNotFound, ValueError):
        return set()
    return {name.lower() for name in extension.value.get_values_for_type(x509.DNSName)}


def _all_names_of(certificate: x509.Certificate, held: set[str]) -> set[str]:
    """*held*, and what servers take for names beside: the subject's common names, and addresses."""
    common = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    found = held | {str(one.value).lower() for one in common}
    extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
    return found | {str(one) for one in extension.value.get_values_for_type(x509.IPAddress)}


def _covers(held: set[str], name: str) -> bool:
    return name in held or f"*.{name.partition('.')[2]}" in held


def _alternatives(names: Iterable[str]) -> x509.SubjectAlternativeName:
    return x509.SubjectAlternativeName([x509.DNSName(name) for name in names])


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)])


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey,
    now: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + VALID)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def utc(seconds: float) -> datetime:
    """A time of the clock as certificates have it."""
    return datetime.fromtimestamp(seconds, UTC)
