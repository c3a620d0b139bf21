# SPDX-License-Identifier: Apache-2.0
"""What is in flight, as HAProxy writes it."""

import pytest

from trustedpods.provider.facade.haproxy.sessions import (
    UNSEEN,
    Session,
    age_seconds,
    parse_sessions,
    told,
    too_old,
)

REPLY = (
    "0x559a00fd84b0: proto=unix_stream src=unix:1 fe=GLOBAL be=<NONE> srv=<none> age=0s calls=1\n"
    "0x559a00fd8000: proto=tcpv4 src=10.1.2.3:5000 fe=web be=slot3 srv=pod-a ts=00 age=1h2m calls=5 \n"
    "0x559a00fd9000: proto=tcpv6 src=[2001:db8::1]:5001 fe=web be=slot4 srv=activator ts=00 age=7s calls=5 \n"
    "0x559a00fda000: proto=tcpv4 src=10.1.2.3:5002 fe=web be=measured srv=inside ts=00 age=9s calls=5 \n"
    "0x559a00fdb000: proto=unix_stream src=unix:1 fe=measured-bodies be=slot4 srv=p ts=00 age=9s calls=5 \n"
)


def test_sessions_of_slots_are_read_and_others_left_out():
    sessions = parse_sessions(REPLY)
    assert sessions == [
        Session("0x559a00fd8000", 3, "10.1.2.3", 3720),
        Session("0x559a00fd9000", 4, "2001:db8::1", 7),
        Session("0x559a00fdb000", 4, UNSEEN, 9),
    ]
    assert too_old(sessions, 3600) == sessions[:1]
    assert "3 requests or connections of 3 addresses" in told(sessions)
    assert "3720 s old, from 10.1.2.3" in told(sessions)
    assert told([]) == ""


@pytest.mark.parametrize(("text", "seconds"), [("0s", 0), ("3m7s", 187), ("1d2h", 93600), ("?", 0)])
def test_ages_are_seconds(text, seconds):
    assert age_seconds(text) == seconds
