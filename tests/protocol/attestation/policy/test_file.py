# SPDX-License-Identifier: Apache-2.0
"""Policies as files: everything explicit, and every mistake named with its line."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.protocol import limits
from trustedpods.protocol.attestation.policy.file import MAX_DOTS, MAX_POLICY, load_policy, parse_policy
from trustedpods.protocol.attestation.policy.localnets import NamedLocalnet
from trustedpods.protocol.attestation.policy.policy import Policy
from trustedpods.protocol.attestation.simulated import market_digest
from trustedpods.protocol.attestation.snp.report import PlatformInfo, Tcb
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import address_from_bytes

HEAD = """\
version = 1
trust = ["sealed"]
accept = ["sev-snp", "tdx", "simulated"]
max_evidence_bytes = 65536
config_digests = "any"
"""
SNP = f"""
[[snp]]
product = "Genoa"
measurements = ["{"11" * 48}"]
min_tcb = {{ bl = 10, tee = 0, snp = 23, ucode = 84 }}
min_guest_svn = 0
guest_policy = {{ debug = false, migrate_ma = false, smt = true, single_socket = false }}
platform_require = ["alias_check_complete"]
vmpl = [0]
host_data = "any"
allow_vlek = false
allowed_chip_ids = ["{"ab" * 64}"]
revocation = "require"
"""
TDX = f"""
[[tdx]]
mrtd = ["{"22" * 48}"]
rtmr = ["{"33" * 48}", "{"44" * 48}", "{"55" * 48}", "eventlog"]
event_log = {{ compose-hash = ["{"66" * 32}"], instance-id = "any" }}
mr_seam = "any"
mr_config_id = "any"
td_attributes = "0000001000000000"
xfam = ["e702060000000000"]
min_tee_tcb_svn = "06010300000000000000000000000000"
tcb_status = ["UpToDate"]
reject_advisories = "none"
min_tcb_eval_data_number = 17
allowed_piids = "any"
"""
LOCALNET = f"""
[[simulated]]
chain_id = 31337
registry = "0x{"0a" * 20}"
payments = "0x{"0b" * 20}"
measurements = "market"
"""
WHOLE = HEAD + SNP + TDX + LOCALNET


def error_of(text: str) -> BadInput:
    with pytest.raises(BadInput) as error:
        parse_policy(text, "policy.toml")
    return error.value


def line_of(part: str, text: str = WHOLE) -> int:
    return text[: text.index(part)].count("\n") + 1


def test_what_a_whole_policy_says():
    policy = parse_policy(WHOLE, "policy.toml")
    (snp,) = policy.snp
    assert (snp.product, snp.measurements) == ("Genoa", {b"\x11" * 48})
    assert snp.minimum == Tcb(bootloader=10, snp=23, microcode=84)
    assert (snp.allow_smt, snp.require_single_socket, snp.allow_vlek, snp.vmpl) == (True, False, False, {0})
    assert (snp.host_data, snp.allowed_chip_ids) == (None, {b"\xab" * 64})
    assert (snp.platform_require, snp.revocation) == (PlatformInfo.ALIAS_CHECK_COMPLETE, "require")
    (tdx,) = policy.tdx
    assert tdx.mrtd == {b"\x22" * 48}
    assert tdx.rtmr == (b"\x33" * 48, b"\x44" * 48, b"\x55" * 48, None)
    assert tdx.events == (("compose-hash", {b"\x66" * 32}), ("instance-id", None))
    assert (tdx.tcb_status, tdx.min_tcb_eval_data_number) == ({"UpToDate"}, 17)
    assert (tdx.mr_seam, tdx.mr_config_id, tdx.allowed_piids, tdx.reject_advisories) == (None,) * 3 + (set(),)
    registry, payments = address_from_bytes(b"\x0a" * 20), address_from_bytes(b"\x0b" * 20)
    assert policy.localnets == (NamedLocalnet(market_digest(31337, registry, payments), None),)
    assert policy.config_digests is None
    assert (policy.allow_sealed, policy.allow_open, policy.require_hardware) == (True, False, True)
    assert policy.max_evidence == limits.MAX_EVIDENCE
    assert policy.label.startswith("policy.toml (")
    assert policy.simulated is None


def test_a_label_names_the_text():
    assert parse_policy(WHOLE, "p").label != parse_policy(WHOLE + "#", "p").label


def test_other_values():
    text = WHOLE.replace('"any"\nallow', f'["{"77" * 32}"]\nallow').replace(
        '["alias_check_complete"]', '"none"'
    )
    text = text.replace('mr_seam = "any"', f'mr_seam = ["{"01" * 48}"]')
    text = text.replace('mr_config_id = "any"', f'mr_config_id = ["{"02" * 48}"]')
    text = text.replace('allowed_piids = "any"', f'allowed_piids = ["{"03" * 16}"]')
    text = text.replace('reject_advisories = "none"', 'reject_advisories = ["INTEL-SA-00615"]')
    policy = parse_policy(text, "p")
    assert (policy.snp[0].host_data, policy.snp[0].platform_require) == ({b"\x77" * 32}, PlatformInfo(0))
    assert (policy.tdx[0].mr_seam, policy.tdx[0].mr_config_id) == ({b"\x01" * 48}, {b"\x02" * 48})
    assert (policy.tdx[0].allowed_piids, policy.tdx[0].reject_advisories) == (
        {b"\x03" * 16},
        {"INTEL-SA-00615"},
    )


def test_an_rtmr3_without_events():
    text = WHOLE.replace('"eventlog"', f'"{"99" * 48}"')
    text = text.replace(TDX.splitlines()[4], 'event_log = "none"')
    assert parse_policy(text, "p").tdx[0].rtmr[3] == b"\x99" * 48


def test_turin_has_a_component_and_short_ids_of_its_own():
    turin = WHOLE.replace('"Genoa"', '"Turin"')
    assert "fmc" in error_of(turin).what
    turin = turin.replace("ucode = 84", "ucode = 84, fmc = 1").replace("ab" * 64, "cd" * 8)
    (entry,) = parse_policy(turin, "p").snp
    assert (entry.minimum.fmc, entry.allowed_chip_ids) == (1, {b"\xcd" * 8 + bytes(56)})


def test_class_open_alone_with_or_without_hardware():
    policy = parse_policy(
        'version = 1\ntrust = ["open"]\naccept = ["none"]\nmax_evidence_bytes = 1024\nconfig_digests = "any"',
        "p",
    )
    assert (policy.allow_sealed, policy.allow_open, policy.require_hardware) == (False, True, False)
    assert (policy.accepts("open"), policy.accepts("sealed")) == (True, False)


@pytest.mark.parametrize(
    ("old", "new", "field", "what"),
    [
        ("version = 1", "version = 2", "version", "1"),
        ("version = 1", "version = true", "version", "integer"),
        ('trust = ["sealed"]', "trust = []", "trust", "an empty list"),
        ('trust = ["sealed"]', 'trust = ["sealed", "sealed"]', "trust", "twice"),
        ('trust = ["sealed"]', 'trust = ["other"]', "trust.1", "sealed"),
        ("max_evidence_bytes = 65536", "max_evidence_bytes = 65537", "max_evidence_bytes", "65536"),
        ('config_digests = "any"', "config_digests = []", "config_digests", "config_digests: an empty list"),
        ('config_digests = "any"', 'config_digests = "all"', "config_digests", "config_digests: Input"),
        ('config_digests = "any"', 'config_digests = ["1"]', "config_digests.1", "config_digests.1: String"),
        ('product = "Genoa"', 'product = "Rome"', "snp.1.product", "Milan"),
        (f'measurements = ["{"11" * 48}"]', "measurements = []", "snp.1.measurements", "an empty list"),
        ("11" * 48, "11" * 47, "snp.1.measurements.1", "pattern"),
        ("vmpl = [0]", "vmpl = []", "snp.1.vmpl", "an empty list"),
        ("vmpl = [0]", "vmpl = [4]", "snp.1.vmpl.1", "3"),
        ("bl = 10, ", "", "snp.1.min_tcb.bl", "omission"),
        ("bl = 10", "bl = 256", "snp.1.min_tcb.bl", "255"),
        ("bl = 10", "bl = 10, xx = 1", "snp.1.min_tcb.xx", "unknown"),
        ("debug = false", "debug = true", "snp.1.guest_policy.debug", "must be false"),
        ("migrate_ma = false", "migrate_ma = true", "snp.1.guest_policy.migrate_ma", "must be false"),
        ("allow_vlek = false", "allow_vlek = 0", "snp.1.allow_vlek", "boolean"),
        ("ab" * 64, "ab" * 63, "snp.1.allowed_chip_ids", "pattern"),
        ('"alias_check_complete"', '"smt"', "snp.1.platform_require", "alias_check_complete"),
        ('revocation = "require"', 'revocation = "never"', "snp.1.revocation", "require"),
        (f'mrtd = ["{"22" * 48}"]', "mrtd = []", "tdx.1.mrtd", "an empty list"),
        ('"eventlog"]', "]", "tdx.1.rtmr", "an empty list"),
        (f'"{"55" * 48}", "eventlog"', f'"eventlog", "{"55" * 48}"', "tdx.1.rtmr", "RTMR3"),
        ('"eventlog"', f'"{"88" * 48}"', "tdx.1.event_log", "RTMR3"),
        ('compose-hash = ["' + "66" * 32 + '"], instance-id = "any"', "", "tdx.1.event_log", "empty"),
        (f'["{"66" * 32}"]', "[]", "tdx.1.event_log", "empty"),
        ('= "0000001000000000"', '= "0100001000000000"', "tdx.1.td_attributes", "debug"),
        ('xfam = ["e702060000000000"]', "xfam = []", "tdx.1.xfam", "an empty list"),
        ('tcb_status = ["UpToDate"]', 'tcb_status = ["Revoked"]', "tdx.1.tcb_status.1", "UpToDate"),
        ('tcb_status = ["UpToDate"]', "tcb_status = []", "tdx.1.tcb_status", "an empty list"),
        ('reject_advisories = "none"', "reject_advisories = []", "tdx.1.reject_advisories", ""),
        ('allowed_piids = "any"', "allowed_piids = []", "tdx.1.allowed_piids", ""),
        ('allowed_piids = "any"', 'allowed_piids = "all"', "tdx.1.allowed_piids", ""),
        ("chain_id = 31337", "chain_id = 0", "simulated.1.chain_id", "1"),
        ("0a" * 20, "0a" * 19, "simulated.1.registry", "address"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_its_line(old, new, field, what):
    text = WHOLE.replace(old, new, 1)
    error = error_of(text)
    assert error.what.startswith(field), error.what
    assert what in error.what
    key = field.split(".")[
        2 if field.split(".")[1:2] == ["1"] and field[0] in "st" and field[:5] != "trust" else 0
    ]
    assert error.where == f"policy.toml:{line_of(chr(10) + key, chr(10) + text)}", error


@pytest.mark.parametrize("name", [line.split(" =")[0] for line in WHOLE.splitlines() if " = " in line])
def test_nothing_is_accepted_by_omission(name):
    lines = WHOLE.splitlines()
    dropped = next(i for i, line in enumerate(lines) if line.startswith(f"{name} ="))
    error = error_of("\n".join(lines[:dropped] + lines[dropped + 1 :]))
    assert name in error.what
    assert "omission" in error.what


@pytest.mark.parametrize("after", [HEAD, HEAD + SNP, HEAD + SNP + TDX, WHOLE])
def test_an_unknown_field_is_an_error(after):
    error = error_of(after + "surprise = 1\n" + WHOLE.removeprefix(after))
    assert "unknown field" in error.what
    assert error.where == f"policy.toml:{after.count(chr(10)) + 1}"


@pytest.mark.parametrize(
    "twice", ['trust = ["sealed"]\n', "vmpl = [0]\n", "chain_id = 31337\n", "version = 1\n"]
)
def test_a_field_that_is_there_twice_is_an_error(twice):
    error = error_of(WHOLE.replace(twice, twice * 2))
    assert "not valid TOML" in error.what
    assert "line" in error.what


@pytest.mark.parametrize("table", [SNP, TDX, LOCALNET])
def test_what_is_accepted_is_described_and_the_other_way_round(table):
    assert "accept has" in error_of(WHOLE.replace(table, "")).what
    kind = {SNP: '"sev-snp", ', TDX: '"tdx", ', LOCALNET: ', "simulated"'}[table]
    assert "accept has" in error_of(WHOLE.replace(kind, "", 1)).what


def test_no_hardware_is_for_class_open_only():
    assert "class open" in error_of(WHOLE.replace('"simulated"]', '"simulated", "none"]')).what


def test_the_second_of_two_tables_is_found():
    text = HEAD.replace(', "tdx", "simulated"', "") + SNP + SNP.replace("allow_vlek = false\n", "")
    assert error_of(text).what.startswith("snp.2.allow_vlek")
    assert (
        error_of(text).where
        == f"policy.toml:{text.rindex('[[snp]]') and text[: text.rindex('[[snp]]')].count(chr(10)) + 1}"
    )


class TestFiles:
    def test_a_file_is_read(self, tmp_path):
        path = tmp_path / "policy.toml"
        path.write_text(WHOLE)
        assert load_policy(path) == parse_policy(WHOLE, str(path))

    @pytest.mark.parametrize(
        ("content", "what"),
        [
            (None, "cannot read"),
            (b"\xff", "UTF-8"),
            (b"#" * (MAX_POLICY + 1), "KiB"),
            (("#" + "\N{SNOWMAN}" * (MAX_POLICY // 3 + 1)).encode(), "KiB"),
        ],
        ids=range(4),
    )
    def test_a_file_that_is_none(self, tmp_path, content, what):
        path = tmp_path / "policy.toml"
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(BadInput, match=what) as error:
            load_policy(path)
        assert error.value.where == str(path)

    def test_too_much_text(self):
        assert "KiB" in error_of("#" * (MAX_POLICY + 1)).what

    def test_too_many_dots_in_a_line(self):
        assert parse_policy(WHOLE + "#" + "." * MAX_DOTS, "f")
        assert "dots" in error_of(WHOLE + "#" + "." * (MAX_DOTS + 1)).what


@pytest.mark.parametrize("bomb", ["a = " + "[" * 20_000, "a = " + "{b=" * 20_000, "a." * 50_000 + "b = 1"])
def test_nesting_bombs_are_errors(bomb):
    error_of(bomb)


@given(st.text(max_size=300), st.integers(0, len(WHOLE)))
def test_any_text_is_a_policy_or_an_error(noise, at):
    for text in (noise, WHOLE[:at] + noise + WHOLE[at:]):
        with contextlib.suppress(BadInput):
            assert isinstance(parse_policy(text, "p"), Policy)
