# SPDX-License-Identifier: Apache-2.0
"""The provider's own TLS certificate: for the boot's TLS key, from the operator's file or self-made."""

import logging
from datetime import timedelta
from pathlib import Path

import trio
from cryptography import x509

from trustedpods.protocol.errors import TrustedPodsError
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
    """Have the facade show the provider's certificate; done again on a timer, as files change."""
    if not doors.config.facade.tls_binds:
        return
    folder = doors.config.facade.tls_dir(doors.config.identity.keys_dir)
    found = await trio.to_thread.run_sync(_from_operator, doors)
    if found is None:
        found = _present(doors, folder) or await trio.to_thread.run_sync(_self_made, doors, folder)
    await doors.facade.certify(tls.PROVIDER, found)


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
