# SPDX-License-Identifier: Apache-2.0
"""Certificates and kubeconfigs of one embedded cluster, made once."""

import base64
import datetime
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from trustedpods.localnet.folders import replace_file

_LIFETIME = datetime.timedelta(days=3650)
_SKEW = datetime.timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class CertificateSubject:
    """Whose certificate it is: user and groups as Kubernetes reads them, and served names."""

    file: str
    user: str
    groups: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()


class Authority:
    """The certificate authority of one cluster, in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._key = _load_or_make_key(folder / "ca.key")
        self._certificate = self._load_or_make_certificate(folder / "ca.crt")

    def issue(self, identity: CertificateSubject, folder: Path | None = None) -> None:
        """Write <file>.key and <file>.crt into *folder*; a pair that is there already stays.

        Another folder than the authority's own gets its certificate too, and never its key.
        """
        folder = folder or self.folder
        if folder != self.folder:
            _write_certificate(folder / "ca.crt", self._certificate)
        path = folder / f"{identity.file}.crt"
        key = _load_or_make_key(folder / f"{identity.file}.key")
        if path.exists():
            return
        usages = [ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]
        builder = (
            self._builder(_name(identity.user, identity.groups), key.public_key())
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        )
        if identity.hosts:
            names = [_general_name(host) for host in identity.hosts]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        _write_certificate(path, builder.sign(self._key, hashes.SHA256()))

    def make_service_account_key(self) -> None:
        """The key that signs pods' tokens: sa.key and sa.pub."""
        key = _load_or_make_key(self.folder / "sa.key")
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        replace_file(self.folder / "sa.pub", public)

    def write_kubeconfig(self, identity: CertificateSubject, server: str, folder: Path | None = None) -> None:
        """Write <file>.conf beside what was issued, with everything in it, so that it can be copied away."""
        folder = folder or self.folder
        data = {
            "certificate-authority": self.folder / "ca.crt",
            "client-certificate": folder / f"{identity.file}.crt",
            "client-key": folder / f"{identity.file}.key",
        }
        replace_file(folder / f"{identity.file}.conf", _kubeconfig(server, data).encode(), 0o600)

    def _load_or_make_certificate(self, path: Path) -> x509.Certificate:
        if path.exists():
            return x509.load_pem_x509_certificate(path.read_bytes())
        name = _name("localnet", ())
        builder = self._builder(name, self._key.public_key(), issuer=name).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        certificate = builder.sign(self._key, hashes.SHA256())
        _write_certificate(path, certificate)
        return certificate

    def _builder(
        self, subject: x509.Name, key: ec.EllipticCurvePublicKey, issuer: x509.Name | None = None
    ) -> x509.CertificateBuilder:
        now = datetime.datetime.now(datetime.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer or self._certificate.subject)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - _SKEW)
            .not_valid_after(now + _LIFETIME)
        )


def _name(user: str, groups: Sequence[str]) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, user)])


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _load_or_make_key(path: Path) -> ec.EllipticCurvePrivateKey:
    if path.exists():
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        return key
    key = ec.generate_private_key(ec.SECP256R1())
    data = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    replace_file(path, data, 0o600)
    return key


def _write_certificate(path: Path, certificate: x509.Certificate) -> None:
    replace_file(path, certificate.public_bytes(serialization.Encoding.PEM))


def _kubeconfig(server: str, files: dict[str, Path]) -> str:
    data = {name: base64.b64encode(path.read_bytes()).decode() for name, path in files.items()}
    return f"""apiVersion: v1
kind: Config
clusters:
- name: localnet
  cluster:
    server: {server}
    certificate-authority-data: {data["certificate-authority"]}
users:
- name: user
  user:
    client-certificate-data: {data["client-certificate"]}
    client-key-data: {data["client-key"]}
contexts:
- name: localnet
  context:
    cluster: localnet
    user: user
current-context: localnet
"""
