# SPDX-License-Identifier: Apache-2.0
"""Certificates behind a report: pinned root (ARK), issuer (ASK or ASVK), the chip's or cloud's key (VEK).

Roots and issuers are pinned here, never taken from evidence. Every certificate in the chain must be
signed with RSA-PSS and SHA-384, as AMD does.
"""

import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib.resources import files
from typing import Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.utils import CryptographyDeprecationWarning

from trustedpods.protocol.attestation.checks import Check, need, refusal
from trustedpods.protocol.errors import BadInput

# AMD puts serial number 0 into every VCEK (pyca/cryptography issue 12948).
warnings.filterwarnings(
    "ignore", message="Parsed a serial number which wasn't positive", category=CryptographyDeprecationWarning
)

_PRODUCT_FILES: Final = {"Milan": "milan.pem", "Genoa": "genoa.pem", "Turin": "turin.pem"}
UNREADABLE: Final = (
    ValueError,
    TypeError,
    UnsupportedAlgorithm,
    x509.DuplicateExtension,
    x509.ExtensionNotFound,
    x509.InvalidVersion,
)
"""What `cryptography` raises for certificates and keys that are none, or that it will not use."""


@dataclass(frozen=True, slots=True)
class ProductRoots:
    """What is pinned for one processor; without `asvk` no cloud's key is accepted."""

    ark: x509.Certificate
    ask: x509.Certificate
    asvk: x509.Certificate | None = None

    @classmethod
    def from_pem(cls, pem: bytes, where: str) -> "ProductRoots":
        """Two or three certificates, ARK first; BadInput (at *where*) for anything else."""
        try:
            ark, ask, *rest = x509.load_pem_x509_certificates(pem)
            asvk = rest.pop() if rest else None
            _ = ark.extensions, ask.extensions, asvk and asvk.extensions
        except UNREADABLE as error:
            raise BadInput(f"not a chain of certificates: {error}", where=where) from error
        if rest:
            raise BadInput("more than three certificates in a chain of roots", where=where)
        return cls(ark, ask, asvk)


Roots: TypeAlias = Mapping[str, ProductRoots]
"""Pinned roots by the name of the processor."""


@cache
def amd_roots() -> Roots:
    """AMD's roots for Milan, Genoa and Turin, as packaged with this code."""
    folder = files("trustedpods.protocol.attestation.snp") / "roots"
    return {
        product: ProductRoots.from_pem((folder / name).read_bytes(), name)
        for product, name in _PRODUCT_FILES.items()
    }


@contextmanager
def refuse_unreadable(check: Check, what: str) -> Iterator[None]:
    """Turn the many ways in which a certificate can be unreadable into one refusal."""
    try:
        yield
    except UNREADABLE as error:
        raise refusal(check, f"{what}: {error}") from error


def load_vek(der: bytes) -> x509.Certificate:
    """The certificate of the signing key; EvidenceRefused (rule "certificates") unless it is DER.

    Its parts are parsed on use, so all that will be used are touched here.
    """
    with refuse_unreadable(Check.CERTIFICATES, "the signing key's certificate is unreadable"):
        vek = x509.load_der_x509_certificate(der)
        names = common_name(vek.issuer), common_name(vek.subject)
        _ = names, vek.public_key(), vek.extensions, vek.signature_algorithm_parameters
        return vek


def common_name(name: x509.Name) -> str:
    """The one common name in *name*, or "" when there is none or more than one."""
    found = name.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
    return str(found[0].value) if len(found) == 1 else ""


def issuer_name(vek: x509.Certificate) -> str:
    """Common name of who says to have issued *vek*; not verified."""
    with refuse_unreadable(Check.CERTIFICATES, "the signing key's certificate is unreadable"):
        return common_name(vek.issuer)


def product_of_issuer(vek: x509.Certificate, roots: Roots) -> str | None:
    """Whose pinned issuer *vek* names: how a version 2 report finds its processor."""
    name = issuer_name(vek)
    for product, pinned in roots.items():
        issuers = (pinned.ask, pinned.asvk)
        if any(issuer is not None and common_name(issuer.subject) == name for issuer in issuers):
            return product
    return None


def _check_issued(child: x509.Certificate, issuer: x509.Certificate, now: datetime) -> None:
    name = common_name(child.subject)
    with refuse_unreadable(Check.CHAIN, f"certificate {name} is unreadable"):
        pss = isinstance(child.signature_algorithm_parameters, padding.PSS)
        sha384 = isinstance(child.signature_hash_algorithm, hashes.SHA384)
        need(pss and sha384, Check.CHAIN, f"certificate {name} is not signed with RSA-PSS and SHA-384")
        try:
            child.verify_directly_issued_by(issuer)
        except InvalidSignature as error:
            raise refusal(
                Check.CHAIN, f"certificate {name} was not issued by {common_name(issuer.subject)}"
            ) from error
        valid = child.not_valid_before_utc <= now <= child.not_valid_after_utc
        need(valid, Check.VALIDITY, f"certificate {name} is not valid at {now:%Y-%m-%d %H:%M}Z")


def check_chain(
    vek: x509.Certificate, pinned: ProductRoots, now: datetime, *, vlek: bool
) -> x509.Certificate:
    """The pinned issuer of *vek*, once everything up to the root holds at *now*.

    EvidenceRefused by "chain", "validity".
    """
    issuer = pinned.asvk if vlek else pinned.ask
    if issuer is None:
        raise refusal(Check.CHAIN, "no issuer of clouds' keys (ASVK) is pinned")
    _check_issued(pinned.ark, pinned.ark, now)
    _check_issued(issuer, pinned.ark, now)
    _check_issued(vek, issuer, now)
    expected = "SEV-VLEK" if vlek else "SEV-VCEK"
    name = common_name(vek.subject)
    need(name == expected, Check.CHAIN, f"the signing key's certificate is for {name!r}, not {expected}")
    return issuer


def check_revocation(crl_der: bytes, issuer: x509.Certificate, ark: x509.Certificate, now: datetime) -> None:
    """The root's revocation list is genuine, current, and does not name *issuer*.

    Chips' keys are superseded by newer firmware, never listed: all of them have serial number 0.
    """
    with refuse_unreadable(Check.REVOCATION, "the revocation list is unreadable"):
        crl = x509.load_der_x509_crl(crl_der)
        key = ark.public_key()
        assert isinstance(key, rsa.RSAPublicKey)  # check_chain has verified the root's own signature
        genuine = crl.issuer == ark.subject and crl.is_signature_valid(key)
        need(genuine, Check.REVOCATION, "the revocation list is not signed by the root")
        expiry = crl.next_update_utc
        current = expiry is not None and crl.last_update_utc <= now <= expiry
        need(current, Check.REVOCATION, f"the revocation list is not current at {now:%Y-%m-%d %H:%M}Z")
        revoked = crl.get_revoked_certificate_by_serial_number(issuer.serial_number)
        need(revoked is None, Check.REVOKED, f"the issuer {common_name(issuer.subject)} is revoked")
