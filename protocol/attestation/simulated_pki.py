# SPDX-License-Identifier: Apache-2.0
"""The certificates of a simulated vendor, shaped like AMD's."""

import secrets
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

TCB: Final = bytes([4, 0, 0, 0, 0, 0, 24, 219])
"""Firmware versions of every simulated machine, as in a report of Milan."""

CHIP_ID_OID: Final = x509.ObjectIdentifier("1.3.6.1.4.1.3704.1.4")
_VERSIONS: Final = {"3.1": TCB[0], "3.2": TCB[1], "3.3": TCB[6], "3.8": TCB[7]}
_RSA_BITS: Final = 2048  # AMD has 4096, which takes seconds to make and protects nothing here
_LIFETIME: Final = timedelta(days=3653)
_BACKDATED: Final = timedelta(days=1)  # clients' clocks may be behind


def ark_name(market: str) -> str:
    """Common name of the root of *market* (a `market_digest`)."""
    return f"ARK-SIMULATED-{market}"


def ask_name(market: str) -> str:
    """Common name of the issuer under the root of *market*."""
    return f"SEV-SIMULATED-{market}"


def make(market: str, now: datetime) -> tuple[str, str]:
    """(root and issuer, chip's key and certificate) as PEM; the issuing keys are forgotten."""
    ark_key, ask_key = _rsa_key(), _rsa_key()
    ark = _issue(ark_name(market), ark_key.public_key(), ark_name(market), now).sign(
        ark_key, hashes.SHA384(), rsa_padding=_pss()
    )
    ask = _issue(ask_name(market), ask_key.public_key(), ark_name(market), now).sign(
        ark_key, hashes.SHA384(), rsa_padding=_pss()
    )
    chip_key = ec.generate_private_key(ec.SECP384R1())
    builder = _issue("SEV-VCEK", chip_key.public_key(), ask_name(market), now)
    vek = _with_amd_extensions(builder).sign(ask_key, hashes.SHA384(), rsa_padding=_pss())
    key_pem = chip_key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return _pem(ark) + _pem(ask), key_pem.decode() + _pem(vek)


def _rsa_key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=_RSA_BITS)


def _pss() -> padding.PSS:
    return padding.PSS(padding.MGF1(hashes.SHA384()), hashes.SHA384.digest_size)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, common_name)])


def _issue(
    subject: str, public_key: rsa.RSAPublicKey | ec.EllipticCurvePublicKey, issuer: str, now: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(issuer))
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(now + _LIFETIME)
    )


def _with_amd_extensions(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    """Firmware versions and a random chip id, where AMD has them."""
    for suffix, version in _VERSIONS.items():
        integer = version.to_bytes(version.bit_length() // 8 + 1, "big")
        oid = x509.ObjectIdentifier(f"1.3.6.1.4.1.3704.1.{suffix}")
        value = bytes([2, len(integer)]) + integer
        builder = builder.add_extension(x509.UnrecognizedExtension(oid, value), critical=False)
    chip_id = x509.UnrecognizedExtension(CHIP_ID_OID, secrets.token_bytes(64))
    return builder.add_extension(chip_id, critical=False)


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(serialization.Encoding.PEM).decode()
