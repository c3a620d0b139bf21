# SPDX-License-Identifier: Apache-2.0
"""The provider's own TLS certificate: an authority's, by ACME or from the operator's file, or self-made."""

import logging
from datetime import timedelta
from functools import partial
from pathlib import Path

import trio
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from trustedpods.protocol.errors import TrustedPodsError
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.acme.proofs import proofs_for
from trustedpods.provider.acme.renewer import AcmeRenewal, RenewalPlace
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.doors import Doors
from trustedpods.provider.facade import certificates
from trustedpods.provider.facade.certificates import Authority, Certificate
from trustedpods.provider.facade.haproxy import tls
from trustedpods.provider.facade.haproxy.files import read_file, replace_file

_log = logging.getLogger(__name__)

RENEW_BEFORE = timedelta(days=30)
ROOT_FILE = "ca.crt"
"""Beside the certificates: the self-made root, for clients that want to trust it. Its key is thrown away."""


async def show_own(doors: Doors) -> None:
    """Have the facade show the provider's certificate; done again on a timer, as files change.

    An authority's that is not for the wildcard is shown for its own names, beside a self-made one for all
    others.
    """
    if not doors.config.facade.tls_binds:
        return
    whole = certificates.provider_names(doors.config.identity.domain)
    found = ordered = None
    if doors.config.tls.acme is None:
        found = await trio.to_thread.run_sync(_from_operator, doors)
    else:
        ordered = await trio.to_thread.run_sync(_from_authority, doors)
        if ordered is not None and set(whole) <= set(ordered.names):
            found, ordered = Certificate(ordered.pem), None
    if found is None:
        found = await trio.to_thread.run_sync(_own, doors)
    if ordered is not None:  # where both are for a name, HAProxy would take the first
        found = Certificate(found.pem, tuple(name for name in whole if name not in ordered.names))
    await doors.facade.certify(tls.PROVIDER, found)
    await doors.facade.certify(tls.PROVIDER_NAMES, ordered)


async def keep_renewed(doors: Doors, settings: AcmeSettings) -> None:
    """Order and renew the provider's certificate for ever. BadInput where the key for DNS cannot be read."""
    domain = doors.config.identity.domain
    place = RenewalPlace(
        settings,
        domain,
        OrderFiles(doors.config.acme_dir),
        await trio.to_thread.run_sync(proofs_for, settings, domain, doors.facade.answer_challenges),
        ordered_key(doors),
        doors.clock,
        partial(show_own, doors),
    )
    await AcmeRenewal(place).run()


def shown_end(doors: Doors) -> int | None:
    """Until when (Unix seconds) the certificate that is shown by default is good; None without https."""
    if not doors.config.facade.tls_binds:
        return None
    folder = doors.config.facade.tls_dir(doors.config.identity.keys_dir)
    try:
        leaf = x509.load_pem_x509_certificates(read_file(folder / f"{tls.PROVIDER}.pem").encode())[0]
    except (TrustedPodsError, ValueError):
        return None
    return int(leaf.not_valid_after_utc.timestamp())


def _own(doors: Doors) -> Certificate:
    folder = doors.config.facade.tls_dir(doors.config.identity.keys_dir)
    return _present(doors, folder) or _self_made(doors, folder)


def ordered_key(doors: Doors) -> ec.EllipticCurvePrivateKey | None:
    """The key that an authority's certificates must be for: a sealed provider's attested one, else any."""
    return doors.keys.tls if doors.config.identity.trust == "sealed" else None


def _from_authority(doors: Doors) -> Certificate | None:
    """What was ordered by ACME, for those names of ours that it has; None where it is not good now.

    These may be others than are wanted by now: it is good for them until the next one is there.
    """
    pem, fixed = OrderFiles(doors.config.acme_dir).certificate(), ordered_key(doors)
    if not pem:
        return None
    try:
        key = pem if fixed is None else certificates.key_pem(fixed)
        checked = certificates.certificate_of(pem, key, (), certificates.utc(doors.clock()))
    except TrustedPodsError as error:
        _log.error("the ordered certificate cannot be used, a self-made one is shown: %s", error)
        return None
    domain = doors.config.identity.domain
    held = certificates.names_of(x509.load_pem_x509_certificates(checked.pem)[0])
    ours = sorted(name for name in held if name == domain or name.endswith(f".{domain}"))
    return Certificate(checked.pem, tuple(ours)) if ours else None


def _from_operator(doors: Doors) -> Certificate | None:
    """The chain that an authority issued for `trustedpods-provider tls-request`."""
    file = doors.config.facade.certificate_file
    if file is None:
        return None
    names = certificates.provider_names(doors.config.identity.domain)
    now = certificates.utc(doors.clock())
    try:
        text = read_file(Path(file)).encode()
        checked = certificates.certificate_of(text, certificates.key_pem(doors.keys.tls), names, now)
        return Certificate(checked.pem)
    except TrustedPodsError as error:
        _log.error("%s cannot be used, a self-made certificate is shown: %s", file, error)
        return None


def _present(doors: Doors, folder: Path) -> Certificate | None:
    """What an earlier daemon of this boot made, unless it is old."""
    pem = read_file(folder / f"{tls.PROVIDER}.pem").encode()
    if not pem:
        return None
    leaf = x509.load_pem_x509_certificates(pem)[0]
    old = leaf.not_valid_after_utc - RENEW_BEFORE < certificates.utc(doors.clock())
    return None if old or leaf.public_key() != doors.keys.tls.public_key() else Certificate(pem)


def _self_made(doors: Doors, folder: Path) -> Certificate:
    domain, now = doors.config.identity.domain, certificates.utc(doors.clock())
    root = Authority.make(domain, now)
    replace_file(folder / ROOT_FILE, certificates.certificate_pem(root.certificate))
    return root.issue(certificates.provider_names(domain), doors.keys.tls, now)
