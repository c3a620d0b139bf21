# SPDX-License-Identifier: Apache-2.0
"""Until when evidence is good: the first end beside the report, or none that is read here."""

from datetime import timedelta

import pytest

from tests.protocol.attestation.pki import NOW, Cert, Pki, der
from trustedpods.protocol.evidence import Evidence
from trustedpods.provider.tee.validity import good_until

PKI = Pki()
EARLY, LATE = (NOW + timedelta(days=days) for days in (5, 50))


def evidence(key_until=LATE, **fields):
    _, key = PKI.make(cert=Cert(not_after=key_until))
    return Evidence(kind="sev-snp", report=b"r", certificates=[der(key)], **fields)


def seconds(moment):
    return int(moment.timestamp())


@pytest.mark.parametrize(("key", "listed"), [(EARLY, LATE), (LATE, EARLY)])
def test_the_first_end_counts(key, listed):
    assert good_until(evidence(key, collateral=PKI.crl(expiry=listed))) == seconds(EARLY)


def test_without_a_list_the_key_counts():
    assert good_until(evidence(LATE)) == seconds(LATE)


@pytest.mark.parametrize("kind", ["none", "tdx"])
def test_where_nothing_is_read_there_is_no_end(kind):
    assert good_until(Evidence(kind=kind, report=b"r", collateral=b"{}")) is None


def test_what_is_no_certificate_has_no_end():
    broken = Evidence(kind="sev-snp", report=b"r", certificates=[b"nothing"], collateral=b"nothing")
    assert good_until(broken) is None
