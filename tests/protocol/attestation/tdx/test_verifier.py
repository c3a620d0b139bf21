# SPDX-License-Identifier: Apache-2.0
"""TDX quotes: real ones, broken ones, and correctly signed bad ones; each with the check that refuses it."""

import json
import struct
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.evidence import flipped, read
from tests.protocol.attestation.tdx.tdx_pki import (
    DAY,
    EXPIRY,
    ISSUED,
    NOW,
    PIID,
    Body,
    Collateral,
    Intel,
    Level,
    Platform,
)
from trustedpods.protocol.attestation.checks import Check
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.attestation.tdx.quote import MAX_QUOTE, report_data_of, without_padding
from trustedpods.protocol.errors import EvidenceRefused

INTEL = Intel()
STRANGER = Intel()
GOOD, TOLD = INTEL.quote(), INTEL.collateral()

QUOTE = read("tdx-v4-phala-uptodate", "tdx_quote")
STATEMENTS = json.loads(read("tdx-v4-phala-uptodate", "tdx_quote_collateral.json"))
REAL_NOW = datetime.fromtimestamp(1751624163, UTC)
NEWER = json.loads(read("tdx-v5-td15ex-phala", "tdx_quote_td15ex_collateral.json"))
SGX_QUOTE = read("sgx-v3-phala", "sgx_quote")
SGX = json.loads(read("sgx-v3-phala", "sgx_quote_collateral.json"))
SIGNATURE_AT = 48 + 584 + 4


def rule_of(
    quote: bytes, collateral: bytes, now: datetime = NOW, root: bytes | None = None, log: bytes = b""
) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        tdx.verify(quote, collateral, log, now, root)
    assert "\n" not in error.value.what
    return error.value.rule


def real(quote: bytes = QUOTE, now: datetime = REAL_NOW, **changed: str) -> str | None:
    return rule_of(quote, json.dumps(STATEMENTS | changed).encode(), now)


def signed(
    body: Body | None = None, platform: Platform | None = None, told: Collateral | None = None
) -> str | None:
    return rule_of(INTEL.quote(body, platform), INTEL.collateral(told), NOW, INTEL.root_der)


class TestRealQuotes:
    """The rows of tests/vectors/attestation."""

    def test_version_4(self):
        verified = tdx.verify(QUOTE, json.dumps(STATEMENTS).encode(), b"", REAL_NOW)
        assert (verified.status, verified.advisories, verified.evaluation) == ("UpToDate", frozenset(), 17)
        assert verified.mrtd.hex().startswith("91eb2b44d141d4ec")
        assert verified.report_data.hex().startswith("9a9d48e7f6799642")
        assert (verified.td_attributes.hex(), verified.xfam.hex()) == ("0000001000000000", "e702060000000000")
        assert verified.rtmr[3] == bytes(48)
        assert verified.piid.hex() == "07828474603e7019dc930775ffe8cdd2"
        assert verified.tee_tcb_svns == (bytes.fromhex("06010300000000000000000000000000"),)
        assert verified.expiry == datetime(2025, 7, 19, 10, 0, 35, tzinfo=UTC)
        assert verified.events == ()

    def test_version_5(self):
        quote, statements = read("tdx-v5-td15ex-phala", "tdx_quote_td15ex"), json.dumps(NEWER).encode()
        verified = tdx.verify(quote, statements, b"", datetime.fromtimestamp(1793000000, UTC))
        assert (verified.status, verified.evaluation) == ("UpToDate", 20)
        assert verified.tee_tcb_svns == (bytes.fromhex("0f010400000000000000000000000000"),) * 2
        assert verified.mrtd.hex().startswith("2a674327")
        assert verified.mr_config_id.hex().startswith("0151ed70")
        assert verified.mr_seam.hex().startswith("ab62561a")

    def test_a_real_platform_below_every_level(self):
        quote = read("tdx-v4-phala-outdated", "tdx_quote_outdated")
        statements = read("tdx-v4-phala-outdated", "tdx_quote_outdated_collateral.json")
        assert rule_of(quote, statements, datetime.fromtimestamp(1772708331, UTC)) == "tcb-status"

    def test_an_sgx_quote(self):
        assert rule_of(SGX_QUOTE, json.dumps(SGX).encode(), REAL_NOW) == "unsupported-platform"

    def test_a_real_quote_under_another_root(self):
        assert rule_of(QUOTE, json.dumps(STATEMENTS).encode(), REAL_NOW, INTEL.root_der) == "collateral"

    def test_padding_with_zeros_is_real(self):
        assert (len(QUOTE), len(without_padding(QUOTE))) == (5006, 4936)
        for quote in (QUOTE[:-1], QUOTE[:4936], QUOTE + bytes(100)):
            assert tdx.verify(quote, json.dumps(STATEMENTS).encode(), b"", REAL_NOW).status == "UpToDate"


class TestReportDataAlone:
    """A provider's look at its own quote goes through no other library."""

    def test_where_it_is(self):
        assert report_data_of(QUOTE).hex().startswith("9a9d48e7f6799642")
        newer = read("tdx-v5-td15ex-phala", "tdx_quote_td15ex")
        assert report_data_of(newer).hex().startswith("2945321c99222c36")

    @pytest.mark.parametrize(
        "quote",
        [
            QUOTE[:4000],
            QUOTE[:4935],
            flipped(QUOTE, 0, 2),
            struct.pack("<HHI", 5, 2, 0x81) + bytes(40) + struct.pack("<HII", 3, 0, 0),
            struct.pack("<HHI", 5, 2, 0x81) + bytes(40) + struct.pack("<HI", 3, 500) + bytes(500 + 4),
        ],
        ids=["cut", "last byte", "version 6", "empty body", "short body"],
    )
    def test_what_has_none(self, quote):
        with pytest.raises(EvidenceRefused) as error:
            report_data_of(quote)
        assert error.value.rule == "report"

    @pytest.mark.parametrize("version", [0, 3, 6])
    def test_an_unknown_version_is_called_unknown(self, version):
        with pytest.raises(EvidenceRefused, match=f"version {version} is not known"):
            report_data_of(version.to_bytes(2, "little") + QUOTE[2:])


BROKEN = {
    "signature": (flipped(QUOTE, SIGNATURE_AT), "signature"),
    "report data": (flipped(QUOTE, 48 + 520), "signature"),
    "MRTD": (flipped(QUOTE, 48 + 136), "signature"),
    "RTMR3": (flipped(QUOTE, 48 + 328 + 144), "signature"),
    "debug bit without a signature": (flipped(QUOTE, 48 + 120), "signature"),
    "attestation key": (flipped(QUOTE, SIGNATURE_AT + 64), "signature"),
    "quoting enclave": (flipped(QUOTE, SIGNATURE_AT + 128 + 6), "signature"),
    "processor's certificate": (flipped(QUOTE, 2500), "chain"),
    "last byte of the quote": (QUOTE[:4935], "report"),
    "declared length": (QUOTE[:632] + b"\xff\xff\xff\xff" + QUOTE[636:], "report"),
    "declared one byte longer": (
        QUOTE[:632] + (4936 - 636 + 71).to_bytes(4, "little") + QUOTE[636:],
        "report",
    ),
    "declared shorter": (QUOTE[:632] + (100).to_bytes(4, "little") + QUOTE[636:], "report"),
    "trailing byte": (QUOTE + b"x", "report"),
    "trailing byte in the padding": (flipped(QUOTE, len(QUOTE) - 1), "report"),
    "trailing byte at once": (flipped(QUOTE, 4936), "report"),
    "padding over the limit": (QUOTE.ljust(MAX_QUOTE + 1, b"\0"), "size"),
    "10 MB of garbage behind it": (QUOTE + b"x" * 10_000_000, "size"),
    "10 MB of zeros": (bytes(10_000_000), "size"),
    "10 MB of ff": (b"\xff" * 10_000_000, "size"),
    "zeros": (bytes(5000), "unsupported-platform"),
    "ff": (b"\xff" * 5000, "unsupported-platform"),
    "version 99": (flipped(QUOTE, 0, 0x60), "report"),
    "version 3": (flipped(QUOTE, 0, 7), "report"),
    "version 5": (flipped(QUOTE, 0, 1), "report"),
    "TEE type SGX": (QUOTE[:4] + bytes(4) + QUOTE[8:], "unsupported-platform"),
    "key type 3": (flipped(QUOTE, 2), "signing-key"),
    "vendor": (flipped(QUOTE, 12), "quoting-enclave"),
    "an SNP report": (read("snp-milan-virtee", "report_milan.hex"), "unsupported-platform"),
    "text": (b"not a quote, but quite a bit of text that says that it is none", "unsupported-platform"),
}
LENGTHS = (0, 1, 47, 48, 631, 632, 635, 636, 1000, 3000, 4935)


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_quote_is_refused(case):
    quote, rule = BROKEN[case]
    assert real(quote) == rule


@pytest.mark.parametrize("length", LENGTHS)
def test_a_quote_that_was_cut_is_refused(length):
    assert real(QUOTE[:length]) == "report"


@pytest.mark.parametrize("length", [53, 54, 53 + 584, 700])
def test_a_quote_of_version_5_that_was_cut_is_refused(length):
    quote = read("tdx-v5-td15ex-phala", "tdx_quote_td15ex")
    assert rule_of(quote[:length], json.dumps(NEWER).encode()) == "report"


def edited(name: str, at: int) -> str:
    return flipped(bytes.fromhex(STATEMENTS[name]), at).hex()


STATED = {
    "TCB information edited": (
        {"tcb_info": STATEMENTS["tcb_info"].replace("OutOfDate", "UpToDate", 1)},
        "collateral",
    ),
    "its signature": ({"tcb_info_signature": edited("tcb_info_signature", 3)}, "collateral"),
    "TCB information that is none": ({"tcb_info": "{}"}, "collateral"),
    "QE identity edited": (
        {"qe_identity": STATEMENTS["qe_identity"].replace("UpToDate", "uptodate", 1)},
        "collateral",
    ),
    "QE identity's signature": ({"qe_identity_signature": edited("qe_identity_signature", 3)}, "collateral"),
    "QE identity of SGX": ({name: SGX[name] for name in SGX if name.startswith("qe_identity")}, "collateral"),
    "TCB information of SGX": (
        {name: SGX[name] for name in SGX if name.startswith("tcb_info")},
        "collateral",
    ),
    "root's list for the issuer's": ({"pck_crl": STATEMENTS["root_ca_crl"]}, "collateral"),
    "list of another issuer": ({"pck_crl": SGX["pck_crl"]}, "collateral"),
    "list flipped": ({"pck_crl": edited("pck_crl", 200)}, "collateral"),
    "list empty": ({"pck_crl": ""}, "collateral"),
    "root's list empty": ({"root_ca_crl": ""}, "collateral"),
    "chain empty": ({"tcb_info_issuer_chain": ""}, "collateral"),
}


@pytest.mark.parametrize("case", STATED)
def test_false_statements_are_refused(case):
    changed, rule = STATED[case]
    assert real(**changed) == rule


def test_missing_statements_are_called_missing():
    with pytest.raises(EvidenceRefused, match="lacks Intel's collateral"):
        tdx.verify(QUOTE, b"", b"", REAL_NOW)


def test_statements_on_another_platform_and_time():
    assert rule_of(QUOTE, json.dumps(NEWER).encode(), datetime.fromtimestamp(1793000000, UTC)) == "signature"
    assert signed(told=Collateral(fmspc=b"\1" * 6)) == "collateral"


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"\xff",
        b"[" * 60_000,
        b'{"tcb_info":' * 5_000,
        json.dumps({name: value for name, value in STATEMENTS.items() if name != "pck_crl"}).encode(),
        json.dumps(STATEMENTS | {"pck_crl": 1}).encode(),
        json.dumps(STATEMENTS | {"pck_crl": "xyz"}).encode(),
    ],
    ids=range(10),
)
def test_statements_that_are_none(raw):
    assert rule_of(QUOTE, raw, REAL_NOW) == "collateral"


@pytest.mark.parametrize(
    "seconds",
    [0, 1750000000, 1752919300, 1752920164, 4102444800],
    ids=["1970", "before issue", "after the list", "after TCB information", "2100"],
)
def test_real_evidence_at_another_time(seconds):
    assert real(now=datetime.fromtimestamp(seconds, UTC)) == "validity"


@pytest.mark.parametrize(
    "now", [ISSUED - timedelta(seconds=1), EXPIRY, EXPIRY + timedelta(seconds=1), NOW + 900 * DAY]
)
def test_a_clock_outside_the_statements_window(now):
    assert rule_of(GOOD, TOLD, now, INTEL.root_der) == "validity"


def test_a_clock_at_the_windows_ends():
    for now in (ISSUED, EXPIRY - timedelta(seconds=1)):
        assert tdx.verify(GOOD, TOLD, b"", now, INTEL.root_der).status == "UpToDate"


def attributes(*bits: int) -> Body:
    return Body(attributes=(1 << 28 | sum(1 << bit for bit in bits)).to_bytes(8, "little"))


SIGNED: dict[str, tuple[dict, str]] = {
    "debug": ({"body": attributes(0)}, "debug"),
    "profiling": ({"body": attributes(4)}, "td-attributes"),
    "migratable": ({"body": attributes(29)}, "migration-agent"),
    "reserved bit 40": ({"body": attributes(40)}, "td-attributes"),
    "SEPT_VE_DISABLE off": ({"body": Body(attributes=bytes(8))}, "td-attributes"),
    "service TD": ({"body": Body(version=5, mr_service_td=b"\1" * 48)}, "migration-agent"),
    "service TD extension": ({"body": attributes(17)}, "migration-agent"),
    "module's signer": ({"body": Body(mr_signer_seam=b"\1" * 48)}, "tdx-module"),
    "module's attributes": ({"body": Body(seam_attributes=b"\1" * 8)}, "tdx-module"),
    "module too old": ({"body": Body(tee_tcb_svn=bytes([1, 1, 3]) + bytes(13))}, "tdx-module"),
    "module unknown": ({"body": Body(tee_tcb_svn=bytes([6, 9, 3]) + bytes(13))}, "tdx-module"),
    "module replaced by an old one": (
        {"body": Body(version=5, tee_tcb_svn2=bytes([1, 1, 3]) + bytes(13))},
        "tdx-module",
    ),
    "signed, TEE type SGX": ({"body": Body(tee_type=0)}, "unsupported-platform"),
    "signed, version 3": ({"body": Body(version=3)}, "report"),
    "signed, key type 3": ({"body": Body(key_type=3)}, "signing-key"),
    "signed, vendor": ({"body": Body(vendor=bytes(16))}, "quoting-enclave"),
    "enclave too old": ({"platform": Platform(qe_svn=1)}, "quoting-enclave"),
    "enclave of a stranger": ({"platform": Platform(qe_signer=b"\1" * 32)}, "quoting-enclave"),
    "enclave of another product": ({"platform": Platform(qe_product=1)}, "quoting-enclave"),
    "firmware below every level": ({"platform": Platform(cpu_svn=(0,) * 16, pce_svn=0)}, "tcb-status"),
    "level revoked": ({"told": Collateral(levels=(Level("Revoked"),))}, "tcb-status"),
    "processor's certificate expired": ({"platform": Platform(pck_expiry=NOW - DAY)}, "validity"),
    "processor's certificate of tomorrow": ({"platform": Platform(pck_start=NOW + DAY)}, "validity"),
    "processor revoked": ({"told": Collateral(revoked=(77,))}, "revoked"),
    "issuer revoked": ({"told": Collateral(root_revoked=(2,))}, "revoked"),
    "Intel's signer revoked": ({"told": Collateral(root_revoked=(3,))}, "revoked"),
    "TCB information expired": ({"told": Collateral(tcb_expiry=NOW - DAY)}, "validity"),
    "TCB information of tomorrow": ({"told": Collateral(tcb_issued=NOW + DAY)}, "validity"),
    "QE identity expired": ({"told": Collateral(qe_expiry=NOW - DAY)}, "validity"),
    "lists expired": ({"told": Collateral(crl_expiry=NOW - DAY)}, "validity"),
}


@pytest.mark.parametrize("case", SIGNED)
def test_a_correctly_signed_bad_quote_is_refused(case):
    parts, rule = SIGNED[case]
    assert signed(**parts) == rule


def test_strangers_sign_nothing():
    assert rule_of(STRANGER.quote(), STRANGER.collateral(), NOW, INTEL.root_der) == "collateral"
    assert rule_of(GOOD, STRANGER.collateral(), NOW, INTEL.root_der) == "collateral"
    assert rule_of(STRANGER.quote(), TOLD, NOW, INTEL.root_der) == "chain"
    assert rule_of(GOOD, TOLD, NOW) == "collateral"


def test_what_is_left_to_the_policy():
    """Genuine, and no more than that: the policy's tests refuse them."""
    for told, status in (
        (Level("SWHardeningNeeded"), "SWHardeningNeeded"),
        (Level("OutOfDate"), "OutOfDate"),
    ):
        statements = INTEL.collateral(Collateral(levels=(told,)))
        assert tdx.verify(GOOD, statements, b"", NOW, INTEL.root_der).status == status
    statements = INTEL.collateral(Collateral(qe_status="OutOfDate"))
    assert tdx.verify(GOOD, statements, b"", NOW, INTEL.root_der).status == "OutOfDate"
    statements = INTEL.collateral(Collateral(levels=(replace(Level(), advisories=("INTEL-SA-1",)),)))
    assert tdx.verify(GOOD, statements, b"", NOW, INTEL.root_der).advisories == {"INTEL-SA-1"}


def test_the_older_of_two_evaluations_counts():
    for told in (Collateral(evaluation=10), Collateral(qe_evaluation=10)):
        assert tdx.verify(GOOD, INTEL.collateral(told), b"", NOW, INTEL.root_der).evaluation == 10


def test_the_earlier_of_two_expiries_counts():
    for told in (Collateral(tcb_expiry=NOW + DAY), Collateral(qe_expiry=NOW + DAY)):
        assert tdx.verify(GOOD, INTEL.collateral(told), b"", NOW, INTEL.root_der).expiry == NOW + DAY


def test_a_platform_with_and_without_a_name():
    assert tdx.verify(GOOD, TOLD, b"", NOW, INTEL.root_der).piid == PIID
    unnamed = INTEL.quote(platform=Platform(piid=b""))
    assert tdx.verify(unnamed, TOLD, b"", NOW, INTEL.root_der).piid == b""


@given(st.binary(max_size=2000), st.binary(max_size=500))
def test_any_bytes_are_refused_by_name(quote, collateral):
    assert rule_of(quote, collateral) in set(Check)


@given(st.integers(0, 4935), st.integers(1, 255))
def test_any_changed_byte_is_refused_by_name(offset, mask):
    try:
        tdx.verify(flipped(QUOTE, offset, mask), json.dumps(STATEMENTS).encode(), b"", REAL_NOW)
    except EvidenceRefused as error:
        assert error.rule in set(Check)  # noqa: PT017 - some bytes of the certificates' PEM mean nothing
    else:
        assert offset > 1000


@given(st.data())
def test_any_changed_collateral_is_refused_by_name_or_means_the_same(data):
    raw = json.dumps(STATEMENTS).encode()
    changed = flipped(raw, data.draw(st.integers(0, len(raw) - 1)), data.draw(st.integers(1, 255)))
    try:
        verified = tdx.verify(QUOTE, changed, b"", REAL_NOW)
    except EvidenceRefused as error:
        assert error.rule in set(Check)  # noqa: PT017
    else:
        assert verified == tdx.verify(QUOTE, raw, b"", REAL_NOW)
