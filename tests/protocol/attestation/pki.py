# SPDX-License-Identifier: Apache-2.0
"""A throw-away vendor, to make correctly signed reports of every bad kind."""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

from trustedpods.protocol.attestation.snp.chain import ProductRoots, Roots
from trustedpods.protocol.attestation.snp.report import SnpReport

NOW = datetime(2026, 1, 10, tzinfo=UTC)
DAY = timedelta(days=1)
CHIP = b"\xab" * 64
MEASUREMENT = b"\x11" * 48
TCB = bytes([4, 0, 0, 0, 0, 0, 24, 219])
OLDER_TCB = bytes([3, 0, 0, 0, 0, 0, 20, 200])
CPUID = {"Milan": bytes([0x19, 0x01, 1]), "Genoa": bytes([0x19, 0x11, 1]), "Turin": bytes([0x1A, 0x02, 1])}

REPORT = SnpReport(
    version=3,
    guest_svn=0,
    policy=0x30000,
    family_id=bytes(16),
    image_id=bytes(16),
    vmpl=0,
    signature_algorithm=1,
    current_tcb=TCB,
    platform_info=0x27,
    key_info=0,
    reserved_1=bytes(4),
    report_data=bytes(64),
    measurement=MEASUREMENT,
    host_data=bytes(32),
    id_key_digest=bytes(48),
    author_key_digest=bytes(48),
    report_id=bytes(32),
    report_id_ma=bytes(32),
    reported_tcb=TCB,
    cpuid=CPUID["Milan"],
    reserved_2=bytes(21),
    chip_id=CHIP,
    committed_tcb=TCB,
    current_version=bytes(4),
    committed_version=bytes(4),
    launch_tcb=TCB,
    launch_mitigations=bytes(8),
    current_mitigations=bytes(8),
    reserved_3=bytes(152),
)
VLEK = 1 << 2


def pss(hash_algorithm: hashes.HashAlgorithm) -> padding.PSS:
    return padding.PSS(padding.MGF1(hash_algorithm), hash_algorithm.digest_size)


def name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


@dataclass(frozen=True)
class Cert:
    """How a certificate of a signing key differs from a good one."""

    subject: str = "SEV-VCEK"
    issuer: str | None = None
    issuer_key: str = "ask"
    versions: bytes = TCB
    chip: bytes | None = CHIP
    not_after: datetime = NOW + 90 * DAY
    hash_algorithm: hashes.HashAlgorithm = field(default_factory=hashes.SHA384)
    pkcs1: bool = False
    curve: ec.EllipticCurve = field(default_factory=ec.SECP384R1)
    without: tuple[str, ...] = ()
    raw: dict[str, bytes] = field(default_factory=dict)


@cache
def rsa_keys(count: int) -> tuple[rsa.RSAPrivateKey, ...]:
    """Slow to make, so all tests share them."""
    return tuple(rsa.generate_private_key(65537, 2048) for _ in range(count))


class Pki:
    """ARK, ASK and ASVK of one processor; `offset` tells two vendors apart."""

    def __init__(
        self, product: str = "Milan", offset: int = 0, ark_expiry: datetime = NOW + 999 * DAY
    ) -> None:
        self.product, self.ark_expiry = product, ark_expiry
        ark, ask, asvk = rsa_keys(6)[offset : offset + 3]
        self.keys = {"ark": ark, "ask": ask, "asvk": asvk}
        self.names = {"ark": f"ARK-{product}", "ask": f"SEV-{product}", "asvk": f"SEV-VLEK-{product}"}
        self.pinned = ProductRoots(*(self._ca(role, serial) for serial, role in enumerate(self.names, 65536)))
        self.roots: Roots = {product: self.pinned}

    def _ca(self, role: str, serial: int) -> x509.Certificate:
        expiry = self.ark_expiry if role == "ark" else NOW + 999 * DAY
        builder = self._builder(self.names[role], self.names["ark"], serial, expiry)
        public = builder.public_key(self.keys[role].public_key())
        return public.sign(self.keys["ark"], hashes.SHA384(), rsa_padding=pss(hashes.SHA384()))

    @staticmethod
    def _builder(subject: str, issuer: str, serial: int, not_after: datetime) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name(issuer))
            .serial_number(serial)
            .not_valid_before(NOW - 900 * DAY)
            .not_valid_after(not_after)
        )

    def _extensions(self, cert: Cert) -> dict[str, bytes]:
        raw = cert.versions
        if self.product == "Turin":
            versions = {"3.9": raw[0], "3.1": raw[1], "3.2": raw[2], "3.3": raw[3], "3.8": raw[7]}
        else:
            versions = {"3.1": raw[0], "3.2": raw[1], "3.3": raw[6], "3.8": raw[7]}
        encoded = {
            oid: bytes([2, 1, value]) if value < 128 else bytes([2, 2, 0, value])
            for oid, value in versions.items()
        }
        return (encoded if cert.chip is None else encoded | {"4": cert.chip}) | cert.raw

    def certify(self, key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, cert: Cert) -> x509.Certificate:
        builder = self._builder(
            cert.subject, cert.issuer or self.names[cert.issuer_key], 9, cert.not_after
        ).public_key(key.public_key())
        for suffix, value in self._extensions(cert).items():
            if suffix not in cert.without:
                oid = x509.ObjectIdentifier("1.3.6.1.4.1.3704.1." + suffix)
                builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
        scheme = padding.PKCS1v15() if cert.pkcs1 else pss(cert.hash_algorithm)
        return builder.sign(self.keys[cert.issuer_key], cert.hash_algorithm, rsa_padding=scheme)

    def make(self, report: SnpReport = REPORT, cert: Cert | None = None) -> tuple[bytes, x509.Certificate]:
        """A signed report and the certificate of its key."""
        cert = cert or (Cert("SEV-VLEK", issuer_key="asvk", chip=None) if report.key_info & VLEK else Cert())
        key = ec.generate_private_key(cert.curve)
        vek = self.certify(key, cert)
        return signed(report, key), vek

    def crl(
        self,
        revoked: tuple[int, ...] = (),
        expiry: datetime = NOW + 30 * DAY,
        signer: rsa.RSAPrivateKey | None = None,
    ) -> bytes:
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(name(self.names["ark"]))
            .last_update(NOW - 2 * DAY)
            .next_update(expiry)
        )
        for serial in revoked:
            entry = x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(NOW - DAY)
            builder = builder.add_revoked_certificate(entry.build())
        key = signer or self.keys["ark"]
        listed = builder.sign(key, hashes.SHA384(), rsa_padding=pss(hashes.SHA384()))
        return listed.public_bytes(serialization.Encoding.DER)


def signed(report: SnpReport, key: ec.EllipticCurvePrivateKey) -> bytes:
    """The report's bytes with AMD's little-endian signature behind them."""
    body = report.pack()
    r, s = utils.decode_dss_signature(key.sign(body, ec.ECDSA(hashes.SHA384())))
    return (body + r.to_bytes(72, "little") + s.to_bytes(72, "little")).ljust(0x4A0, b"\0")


def der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)
