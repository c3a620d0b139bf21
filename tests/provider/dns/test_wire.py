# SPDX-License-Identifier: Apache-2.0
"""Pods' questions as bytes: what is answered, what is not, and how long an answer may be."""

import dns.flags
import dns.message
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trustedpods.provider.dns import wire
from trustedpods.provider.dns.wire import MAX_QUESTION, PLAIN_UDP


def asked(name="API.example.org", kind="A", **options):
    return dns.message.make_query(name, kind, **options).to_wire()


def test_a_question_is_read_in_lower_case_and_answered_as_it_was_written():
    found = wire.question(asked())
    assert (found.host, found.addresses) == ("api.example.org", True)
    answer = dns.message.from_wire(wire.answer(found, "there", ["203.0.113.7"], 30))
    assert answer.id == found.message.id
    assert answer.flags & dns.flags.QR
    assert answer.question[0].name.to_text() == "API.example.org."
    (rrset,) = answer.answer
    assert (rrset.ttl, [record.address for record in rrset]) == (30, ["203.0.113.7"])


@pytest.mark.parametrize(
    ("outcome", "code"), [("there", "NOERROR"), ("unknown", "NXDOMAIN"), ("failed", "SERVFAIL")]
)
def test_codes(outcome, code):
    answer = dns.message.from_wire(wire.answer(wire.question(asked(kind="AAAA")), outcome))
    assert dns.rcode.to_text(answer.rcode()) == code
    assert not answer.answer


def test_other_kinds_are_no_addresses():
    assert not wire.question(asked(kind="AAAA")).addresses
    assert not wire.question(asked(kind="TXT")).addresses


def test_what_does_not_fit_is_cut_over_udp_and_whole_over_tcp():
    found = wire.question(asked(".".join(["a" * 60] * 4)))
    many = [f"203.0.113.{number}" for number in range(40)]
    short = wire.answer(found, "there", many, 30)
    assert len(short) <= PLAIN_UDP
    assert dns.message.from_wire(short).flags & dns.flags.TC
    whole = dns.message.from_wire(wire.answer(found, "there", many, 30, tcp=True))
    assert len(whole.answer[0]) == len(many)


def test_nobody_is_told_more_than_fits_into_a_packet():
    found = wire.question(asked(use_edns=0, payload=65_535))
    assert (
        len(wire.answer(found, "there", [f"203.0.{a}.{b}" for a in range(4) for b in range(50)], 30))
        <= MAX_QUESTION
    )


def two_questions():
    message = dns.message.make_query("a.example", "A")
    message.question.append(dns.message.make_query("b.example", "A").question[0])
    return message.to_wire()


def test_what_is_no_question_gets_no_answer():
    response = dns.message.make_response(dns.message.from_wire(asked())).to_wire()
    chaos = dns.message.make_query("a.example", "A", rdclass="CH").to_wire()
    for data in (
        b"",
        b"\0" * 12,
        asked() + b"x",
        asked()[:-1],
        response,
        chaos,
        two_questions(),
        b"\0" * 9000,
    ):
        assert wire.question(data) is None


@given(st.binary(max_size=600))
def test_no_bytes_break_it(data):
    found = wire.question(data)
    assert found is None or wire.answer(found, "unknown")
