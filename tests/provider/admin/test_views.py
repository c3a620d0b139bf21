# SPDX-License-Identifier: Apache-2.0
"""What goes over the admin socket: the names in JSON, what is bounded, and how a wrong field is told."""

import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trustedpods.protocol.errors import BadInput, Refused
from trustedpods.provider.admin import views
from trustedpods.provider.core.pod import Phase

BUSY = views.BusyPod(
    label="pabc",
    channel="ab" * 24,
    namespace="tp-pabc-1",
    phase=Phase.SERVING,
    scale="awake",
    replicas=2,
    ready=1,
    services={"web": "http", "raw": "tcp 20007"},
    left=str(10**30),
    claimed="5",
    runway_seconds=3600,
    why=None,
    in_flight=3,
    requests=44,
    proxy="1/5",
)
OVERVIEW = views.Overview(
    pods=[BUSY],
    replicas=2,
    conversations=1,
    free_slots=9,
    spool_bytes=5,
    spool_quota_bytes=10,
    gas_wei=-1,
)


def read(model, **question):
    return views.read_request(model, json.dumps(question).encode())


def test_an_overview_has_the_names_that_operators_programs_read():
    told = OVERVIEW.plain()
    assert list(told) == [
        "pods",
        "replicas",
        "conversations",
        "freeSlots",
        "spoolBytes",
        "spoolQuotaBytes",
        "gasWei",
    ]
    assert told["pods"] == [
        {
            "label": "pabc",
            "channel": "ab" * 24,
            "namespace": "tp-pabc-1",
            "phase": "serving",
            "scale": "awake",
            "replicas": 2,
            "ready": 1,
            "services": {"web": "http", "raw": "tcp 20007"},
            "left": str(10**30),
            "claimed": "5",
            "runwaySeconds": 3600,
            "why": None,
            "inFlight": 3,
            "requests": 44,
            "proxy": "1/5",
        }
    ]


@pytest.mark.parametrize(
    "view",
    [
        OVERVIEW,
        views.DaemonIdentity(
            profile=b"\x00\xff", endpoint="/ip4/1.2.3.4", meter="0x1", tee="none", chip=bytes(32)
        ),
        views.Claimed(items=1, root=b"\x01" * 32, transaction="0x02", withdrawn="3"),
        views.Claimed(items=0, root=None, transaction=None, withdrawn="0"),
        views.Evicted(pods=[views.EvictedPod(label="pabc", phase=Phase.GONE, settled=True)]),
    ],
)
def test_an_answer_is_read_back_as_it_was_given(view):
    wire = json.loads(json.dumps(view.plain()))
    assert views.read_answer(type(view), "any", wire) == view


def test_bytes_are_hex_without_a_prefix():
    claimed = views.Claimed(items=1, root=b"\x01\xff", transaction=None, withdrawn="0")
    assert claimed.plain() == {"items": 1, "root": "01ff", "transaction": None, "withdrawn": "0"}


def test_a_transaction_that_was_not_sent_is_not_named():
    listed = views.PriceList(token="TPT", configured="a=1", registered=None)
    assert listed.plain() == {"token": "TPT", "configured": "a=1", "registered": None}


def test_views_cannot_be_changed():
    with pytest.raises(ValidationError):
        OVERVIEW.gas_wei = 1


def test_a_command_that_asks_too_much_is_told_before_it_asks():
    with pytest.raises(BadInput) as caught:
        views.EvictRequest(target="pabc", reason="x" * (views.MAX_REASON_SENT + 1))
    assert caught.value.where == "reason"


def test_what_is_left_out_of_a_question_is_no():
    assert read(views.PodsRequest, verb="pods").all is False
    claim = read(views.ClaimRequest, verb="claim", prepare=True)
    assert (claim.prepare, claim.withdraw) == (True, False)


@pytest.mark.parametrize(
    ("model", "question", "field"),
    [
        (views.PodsRequest, {"verb": "pods", "all": 1}, "all"),
        (views.PodsRequest, {"verb": "pods", "all": "yes"}, "all"),
        (views.PodsRequest, {"verb": "pods", "al": True}, "al"),
        (views.IdentityRequest, {"verb": "identity", "key": "please"}, "key"),
        (views.ClaimRequest, {"verb": "claim", "prepare": None}, "prepare"),
        (views.EvictRequest, {"verb": "evict", "target": ["p"], "reason": "x"}, "target"),
        (views.EvictRequest, {"verb": "evict", "target": "p" * (views.MAX_TARGET + 1)}, "target"),
        (views.DrainRequest, {"verb": "drain", "reason": "x" * (views.MAX_REASON_SENT + 1)}, "reason"),
        (views.DrainRequest, {"verb": "evict"}, "verb"),
    ],
)
def test_a_wrong_field_is_told_by_its_name(model, question, field):
    with pytest.raises(BadInput) as caught:
        read(model, **question)
    assert caught.value.where == field
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("line", [b"", b"\n", b"evict", b"[]", b'"pods"', b"null", b"\xff\xfe", b'{"verb":'])
def test_a_line_that_is_no_object_asks_nothing(line):
    with pytest.raises(BadInput, match="not a question"):
        views.verb_of(line)


@given(st.binary(max_size=200))
def test_any_bytes_are_a_question_or_bad_input(line):
    with contextlib.suppress(BadInput):
        views.verb_of(line)
    with contextlib.suppress(BadInput):
        views.read_request(views.EvictRequest, line)


def test_deep_nesting_is_bad_input():
    with pytest.raises(BadInput):
        views.verb_of(b'{"verb":' + b"[" * 4000)


@pytest.mark.parametrize("answer", [None, [], "x", {}, {"pods": None}, {"pods": [{}]}])
def test_an_answer_that_is_none_is_refused_under_the_verbs_name(answer):
    with pytest.raises(Refused) as caught:
        views.read_answer(views.PodList, "pods", answer)
    assert caught.value.rule == "pods"
