# SPDX-License-Identifier: Apache-2.0
"""Genuine quotes of machines that nobody wants, each correctly signed, and event logs."""

import hashlib
import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol.attestation.evidence import read
from tests.protocol.attestation.tdx.tdx_pki import (
    ATTRIBUTES,
    ENTRY,
    MRTD,
    NOW,
    PIID,
    RTMRS,
    XFAM,
    Body,
    Collateral,
    Intel,
    Level,
    Platform,
)
from trustedpods.protocol.attestation.tdx import events as tdx_events
from trustedpods.protocol.attestation.tdx import verifier as tdx
from trustedpods.protocol.attestation.tdx.policy import TdxEntry, appraise
from trustedpods.protocol.errors import BadInput, EvidenceRefused

INTEL = Intel()
RUNTIME = 0x08000001
OTHER = b"\x99" * 48


def genuine(
    body: Body | None = None,
    platform: Platform | None = None,
    told: Collateral | None = None,
    log: bytes = b"",
) -> tdx.VerifiedTdx:
    quote, statements = INTEL.quote(body, platform), INTEL.collateral(told)
    return tdx.verify(quote, statements, log, NOW, INTEL.root_der)


def rule_of(verified: tdx.VerifiedTdx, *entries: TdxEntry) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        appraise(verified, entries)
    return error.value.rule


def with_bits(*bits: int) -> bytes:
    return (1 << 28 | sum(1 << bit for bit in bits)).to_bytes(8, "little")


def test_a_machine_that_matches_is_accepted():
    assert appraise(genuine(), (ENTRY,)) is ENTRY
    assert appraise(genuine(Body(version=5)), (ENTRY,)) is ENTRY


def test_any_entry_that_matches_completely_is_enough():
    other = replace(ENTRY, mrtd=frozenset({OTHER}))
    assert appraise(genuine(), (other, ENTRY)) is ENTRY
    assert rule_of(genuine(), other, other) == "measurement"


def test_halves_of_two_entries_are_not_a_match():
    one, two = replace(ENTRY, mrtd=frozenset({OTHER})), replace(ENTRY, min_tcb_eval_data_number=21)
    assert rule_of(genuine(), one, two) == "measurement"
    assert rule_of(genuine(), two, one) == "tcb-evaluation"


def test_nothing_listed_is_nothing_accepted():
    assert rule_of(genuine()) == "policy"


def rtmrs(register: int) -> tuple[bytes, ...]:
    return tuple(OTHER if at == register else value for at, value in enumerate(RTMRS))


@pytest.mark.parametrize(
    ("parts", "rule"),
    [
        ({"body": Body(attributes=with_bits(30))}, "td-attributes"),
        ({"body": Body(attributes=with_bits(63))}, "td-attributes"),
        ({"body": Body(attributes=with_bits(62))}, "td-attributes"),
        ({"body": Body(xfam=bytes(8))}, "xfam"),
        ({"body": Body(xfam=bytes.fromhex("e702060000000001"))}, "xfam"),
        ({"body": Body(xfam=bytes.fromhex("e706060000000000"))}, "xfam"),
        ({"body": Body(mrtd=OTHER)}, "measurement"),
        ({"body": Body(rtmr=rtmrs(0))}, "rtmr"),
        ({"body": Body(rtmr=rtmrs(1))}, "rtmr"),
        ({"body": Body(rtmr=rtmrs(2))}, "rtmr"),
        ({"body": Body(rtmr=rtmrs(3))}, "rtmr"),
        ({"body": Body(tee_tcb_svn=bytes([5, 1, 1]) + bytes(13))}, "tcb-status"),
        ({"body": Body(version=5, tee_tcb_svn2=bytes([5, 1, 1]) + bytes(13))}, "tcb-minimum"),
        ({"told": Collateral(levels=(Level("SWHardeningNeeded"),))}, "tcb-status"),
        ({"told": Collateral(levels=(Level("OutOfDate"),))}, "tcb-status"),
        ({"told": Collateral(levels=(Level("ConfigurationNeeded"),))}, "tcb-status"),
        ({"told": Collateral(qe_status="OutOfDate")}, "tcb-status"),
        ({"told": Collateral(evaluation=10)}, "tcb-evaluation"),
        ({"told": Collateral(qe_evaluation=10)}, "tcb-evaluation"),
    ],
)
def test_a_genuine_but_unwanted_machine_is_refused(parts, rule):
    assert rule_of(genuine(**parts), ENTRY) == rule


@pytest.mark.parametrize(
    ("stricter", "rule"),
    [
        ({"td_attributes": with_bits(30)}, "td-attributes"),
        ({"xfam": frozenset({bytes(8)})}, "xfam"),
        ({"mr_seam": frozenset({OTHER})}, "mr-seam"),
        ({"mr_config_id": frozenset({OTHER})}, "host-data"),
        ({"min_tee_tcb_svn": bytes([6, 1, 4]) + bytes(13)}, "tcb-minimum"),
        ({"min_tee_tcb_svn": bytes([6, 1, 3]) + bytes(12) + b"\1"}, "tcb-minimum"),
        ({"min_tcb_eval_data_number": 21}, "tcb-evaluation"),
        ({"tcb_status": frozenset({"OutOfDate"})}, "tcb-status"),
        ({"allowed_piids": frozenset({b"\1" * 16})}, "allowed-chip"),
    ],
)
def test_a_stricter_entry_refuses(stricter, rule):
    assert rule_of(genuine(), replace(ENTRY, **stricter)) == rule


def test_a_platform_without_a_name_is_in_no_list():
    unnamed = genuine(platform=Platform(piid=b""))
    assert rule_of(unnamed, replace(ENTRY, allowed_piids=frozenset({PIID}))) == "allowed-chip"
    assert appraise(unnamed, (ENTRY,))


def test_advisories():
    affected = genuine(told=Collateral(levels=(Level("SWHardeningNeeded", advisories=("INTEL-SA-1",)),)))
    lax = replace(ENTRY, tcb_status=frozenset({"UpToDate", "SWHardeningNeeded"}))
    assert appraise(affected, (lax,))
    assert appraise(affected, (replace(lax, reject_advisories=frozenset({"INTEL-SA-2"})),))
    assert rule_of(affected, replace(lax, reject_advisories=frozenset({"INTEL-SA-1"}))) == "advisory"


def test_what_each_demand_accepts():
    strict = replace(
        ENTRY,
        td_attributes=with_bits(30),
        mr_seam=frozenset({b"\x33" * 48}),
        mr_config_id=frozenset({b"\x44" * 48}),
        min_tee_tcb_svn=bytes([6, 1, 3]) + bytes(13),
        min_tcb_eval_data_number=20,
        allowed_piids=frozenset({PIID}),
    )
    machine = genuine(Body(attributes=with_bits(30), mr_config_id=b"\x44" * 48))
    assert appraise(machine, (strict,)) is strict


@pytest.mark.parametrize("cet", ["e70a060000000000", "e712060000000000", "e71a060000000000"])
def test_shadow_stacks_do_not_matter(cet):
    assert appraise(genuine(Body(xfam=bytes.fromhex(cet))), (ENTRY,))
    assert appraise(genuine(), (replace(ENTRY, xfam=frozenset({bytes.fromhex(cet)})),))


# ---- event logs ------------------------------------------------------------------------------


def event(name: str, payload: bytes = b"", imr: int = 3, **changes) -> dict:
    fields = {"imr": imr, "event_type": RUNTIME, "digest": "", "event": name, "event_payload": payload.hex()}
    return fields | changes


def log_of(*events: dict) -> bytes:
    return json.dumps(events).encode()


def extended(*extensions: bytes) -> bytes:
    value = bytes(48)
    for extension in extensions:
        value = hashlib.sha384(value + extension).digest()
    return value


def digest_of(name: str, payload: bytes) -> bytes:
    text = RUNTIME.to_bytes(4, "little") + b":" + name.encode() + b":" + payload
    return hashlib.sha384(text).digest()


PREPARED, HASH = event("system-preparing"), event("compose-hash", b"\x66" * 32)
LOG = log_of(PREPARED, HASH)
RTMR3 = extended(digest_of("system-preparing", b""), digest_of("compose-hash", b"\x66" * 32))
LOGGED = Body(rtmr=(*RTMRS[:3], RTMR3))
BY_LOG = replace(
    ENTRY,
    rtmr=(*RTMRS[:3], None),
    events=(("system-preparing", None), ("compose-hash", frozenset({b"\x66" * 32}))),
)


def replayed(log: bytes, body: Body = LOGGED) -> str | None:
    with pytest.raises(EvidenceRefused) as error:
        genuine(body, log=log)
    return error.value.rule


def logged(*events: dict) -> tdx.VerifiedTdx:
    """A machine whose log replays, whatever is in it."""
    parsed = [(one["event"], bytes.fromhex(one["event_payload"])) for one in events]
    register = extended(*(digest_of(name, payload) for name, payload in parsed))
    return genuine(Body(rtmr=(*RTMRS[:3], register)), log=log_of(*events))


class TestEventLogs:
    def test_a_log_that_replays(self):
        machine = genuine(LOGGED, log=LOG)
        assert machine.events == (("system-preparing", b""), ("compose-hash", b"\x66" * 32))
        assert appraise(machine, (BY_LOG,)) is BY_LOG

    def test_a_real_log_replays_to_its_quote(self):
        vector = json.loads(read("tdx-eventlog-dstack", "tdx-lite-getquote.json"))
        quote, log = bytes.fromhex(vector["quote"]), vector["event_log"].encode()
        registers = tuple(quote[48 + 328 + 48 * at :][:48] for at in range(4))
        events = tdx_events.runtime_events(log, registers)
        assert [name for name, _ in events][:3] == ["system-preparing", "app-id", "compose-hash"]
        assert dict(events)["storage-fs"] == b"zfs"
        for register in range(4):
            changed = tuple(OTHER if at == register else value for at, value in enumerate(registers))
            with pytest.raises(EvidenceRefused, match=f"RTMR{register}"):
                tdx_events.runtime_events(log, changed)

    def test_firmware_events_replay_by_their_digests(self):
        log = log_of(event("", imr=1, digest="ab" * 48), event("x", imr=1, digest="cd" * 48), PREPARED, HASH)
        register = extended(b"\xab" * 48, b"\xcd" * 48)
        body = Body(rtmr=(RTMRS[0], register, RTMRS[2], RTMR3))
        assert genuine(body, log=log).events[1][0] == "compose-hash"
        assert replayed(log) == "event-log"

    def test_digests_in_the_log_count_for_nothing(self):
        forged = event("compose-hash", b"\x77" * 32, digest=digest_of("compose-hash", b"\x66" * 32).hex())
        assert replayed(log_of(PREPARED, forged)) == "event-log"

    @pytest.mark.parametrize(
        "log",
        [
            log_of(PREPARED),
            log_of(HASH, PREPARED),
            log_of(PREPARED, HASH, HASH),
            log_of(PREPARED, event("compose-hash", b"\x67" * 32)),
            log_of(PREPARED, HASH | {"event_type": 1}),
            log_of(event("", imr=0, digest="00" * 48)),
            log_of(event("", imr=0, digest="00" * 47), PREPARED, HASH),
            log_of(event("", imr=2, digest=""), PREPARED, HASH),
            log_of(HASH | {"imr": 4}),
            log_of(HASH | {"imr": -1}),
            log_of(HASH | {"imr": "3"}),
            log_of(HASH | {"event_type": 1 << 32}),
            log_of(HASH | {"event_payload": "abc"}),
            log_of(HASH | {"event_payload": "AB"}),
            log_of(HASH | {"surprise": 1}),
            log_of({"imr": 3}),
            log_of(*[PREPARED] * 257),
            b"[",
            b"{}",
            b"null",
            b"\xff",
            b"[" * 30_000,
            b'{"a":' * 6_000,
        ],
        ids=range(23),
    )
    def test_a_log_that_is_none_or_does_not_replay(self, log):
        assert replayed(log) == "event-log"

    def test_too_much_of_a_log(self):
        assert replayed(b" " * (tdx_events.MAX_EVENT_LOG + 1)) == "size"

    @pytest.mark.parametrize(
        "events",
        [
            (PREPARED,),
            (HASH,),
            (HASH, PREPARED),
            (PREPARED, HASH, event("debug-shell")),
            (PREPARED, event("debug-shell"), HASH),
            (PREPARED, HASH, HASH),
            (PREPARED, event("compose-hash", b"\x67" * 32)),
            (PREPARED, event("compose-hash", b"")),
        ],
        ids=range(8),
    )
    def test_other_events_than_the_policys(self, events):
        assert rule_of(logged(*events), BY_LOG) == "events"

    def test_no_log_where_the_policy_wants_one(self):
        assert rule_of(genuine(LOGGED), BY_LOG) == "events"
        assert rule_of(genuine(), BY_LOG) == "events"

    def test_a_log_says_nothing_to_a_policy_with_a_fixed_register(self):
        fixed = replace(ENTRY, rtmr=(*RTMRS[:3], RTMR3))
        assert appraise(genuine(LOGGED, log=LOG), (fixed,)) is fixed

    def test_the_other_registers_count_beside_a_log(self):
        moved = genuine(Body(rtmr=(OTHER, *RTMRS[1:3], RTMR3)), log=LOG)
        assert rule_of(moved, BY_LOG) == "rtmr"

    @given(st.binary(max_size=500))
    def test_any_bytes_are_refused_by_name(self, raw):
        with pytest.raises(EvidenceRefused):
            tdx_events.runtime_events(b"x" + raw, RTMRS)


@pytest.mark.parametrize(
    ("bad", "where"),
    [
        ({"mrtd": frozenset()}, "mrtd"),
        ({"mrtd": frozenset({MRTD[:47]})}, "mrtd"),
        ({"xfam": frozenset()}, "xfam"),
        ({"xfam": frozenset({XFAM[:7]})}, "xfam"),
        ({"tcb_status": frozenset()}, "tcb_status"),
        ({"tcb_status": frozenset({"Revoked"})}, "tcb_status"),
        ({"mr_seam": frozenset()}, "mr_seam"),
        ({"mr_seam": frozenset({b""})}, "mr_seam"),
        ({"mr_config_id": frozenset()}, "mr_config_id"),
        ({"mr_config_id": frozenset({b""})}, "mr_config_id"),
        ({"allowed_piids": frozenset()}, "allowed_piids"),
        ({"allowed_piids": frozenset({b""})}, "allowed_piids"),
        ({"td_attributes": ATTRIBUTES[:7]}, "td_attributes"),
        ({"td_attributes": with_bits(0)}, "td_attributes"),
        ({"td_attributes": with_bits(4)}, "td_attributes"),
        ({"min_tee_tcb_svn": bytes(15)}, "min_tee_tcb_svn"),
        ({"rtmr": RTMRS[:3]}, "rtmr"),
        ({"rtmr": (*RTMRS[:3], b"")}, "rtmr"),
        ({"rtmr": (None, *RTMRS[1:])}, "rtmr"),
        ({"rtmr": (None, None, None, None), "events": (("a", None),)}, "rtmr"),
        ({"rtmr": (*RTMRS[:3], None)}, "event_log"),
        ({"events": (("a", None),)}, "event_log"),
        ({"rtmr": (*RTMRS[:3], None), "events": (("a", frozenset()),)}, "event_log"),
    ],
)  # fmt: skip
def test_a_policy_that_means_nothing_is_an_error(bad, where):
    with pytest.raises(BadInput) as error:
        replace(ENTRY, **bad)
    assert error.value.where == where
