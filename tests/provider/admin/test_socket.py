# SPDX-License-Identifier: Apache-2.0
# mypy: disable-error-code="attr-defined"
"""The admin socket: one clear message for whatever is no question, and a daemon that goes on."""

import json
import stat

import pytest
import trio

from tests.fakes.provider.admin import admin_json, send_line
from trustedpods.protocol.errors import BadInput, NoContext, Refused
from trustedpods.provider.admin import socket
from trustedpods.provider.admin.reports.views import Earnings, EarningsRequest
from trustedpods.provider.admin.socket import MAX_QUESTION, ask_daemon, serve_admin, verb_for
from trustedpods.provider.admin.views import (
    Claimed,
    ClaimRequest,
    Evicted,
    EvictRequest,
    OverviewRequest,
    PodList,
    PodsRequest,
)
from trustedpods.provider.core.earnings.sums import GroupedBy

CLAIMED = Claimed(items=2, root=b"\1" * 32, transaction=None, withdrawn="7")


class Answers:
    """Verbs of a daemon, and what they were asked."""

    def __init__(self):
        self.asked = []

    async def claim(self, request):
        self.asked.append(request)
        return CLAIMED

    async def evict(self, request):
        self.asked.append(request)
        raise Refused("no such pod", rule="unknown-pod", hint="look again")

    async def pods(self, request):
        self.asked.append(request)
        raise RuntimeError("secret of the inside")

    def verbs(self):
        return {
            "claim": verb_for(ClaimRequest, self.claim),
            "evict": verb_for(EvictRequest, self.evict),
            "pods": verb_for(PodsRequest, self.pods),
        }


@pytest.fixture
def path(tmp_path):
    return tmp_path / "operator.sock"


@pytest.fixture
async def answers(path, nursery):
    verbs = Answers()
    await nursery.start(serve_admin, path, verbs.verbs())
    return verbs


async def test_a_question_is_answered_whole(path, answers):
    assert await ask_daemon(path, ClaimRequest(withdraw=True), Claimed) == CLAIMED
    assert answers.asked == [ClaimRequest(withdraw=True)]
    assert await send_line(path, b'{"verb": "claim"}\n') == {
        "ok": {"items": 2, "root": "01" * 32, "transaction": None, "withdrawn": "7"}
    }


async def test_only_the_daemons_user_may_open_it(path, answers):
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


async def test_an_error_of_the_daemon_arrives_as_it_was_raised(path, answers):
    with pytest.raises(Refused) as caught:
        await ask_daemon(path, EvictRequest(target="pabc", reason="why"), Evicted)
    assert (caught.value.what, caught.value.rule, caught.value.hint) == (
        "no such pod",
        "unknown-pod",
        "look again",
    )


async def test_a_verb_that_fails_tells_nothing_of_the_inside(path, answers, caplog):
    reply = await send_line(path, b'{"verb": "pods"}\n')
    assert reply == {"error": {"code": "internal", "what": "the daemon failed inside; its log says why"}}
    assert "secret of the inside" in caplog.text
    assert (await admin_json(path, {"verb": "claim"}))["items"] == 2


@pytest.mark.parametrize(
    ("line", "what"),
    [
        (b"\n", "not a question"),
        (b"claim\n", "not a question"),
        (b"[]\n", "not a question"),
        (b"null\n", "not a question"),
        (b'"claim"\n', "not a question"),
        (b"\xff\xfe\x00\n", "not a question"),
        (b'{"verb": "claim"\n', "not a question"),
        (b'{"verb": "claim"}', "not a question: the connection ended"),
        (b"", "not a question: the connection ended"),
        (b"[" * (MAX_QUESTION - 1) + b"\n", "not a question"),
        (b" " * MAX_QUESTION + b"\n", f"not a question: a line of more than {MAX_QUESTION} bytes"),
        (b"x" * 60_000, f"not a question: a line of more than {MAX_QUESTION} bytes"),
        (b"{}\n", "no such verb: None"),
        (b'{"verb": "look-inside"}\n', "no such verb: 'look-inside'"),
        (b'{"verb": "verbs"}\n', "no such verb: 'verbs'"),
        (b'{"verb": 7}\n', "no such verb: 7"),
        (b'{"verb": ["claim"]}\n', "no such verb: ['claim']"),
        (b'{"verb": {"claim": 1}}\n', "no such verb: {'claim': 1}"),
    ],
)
async def test_what_is_no_question_is_bad_input(path, answers, line, what):
    reply = await send_line(path, line)
    assert (reply["error"]["code"], reply["error"]["what"]) == ("bad-input", what)
    assert answers.asked == []
    assert (await admin_json(path, {"verb": "claim"}))["items"] == 2


@pytest.mark.parametrize(
    ("question", "where", "what"),
    [
        ({"verb": "claim", "prepare": "true"}, "prepare", "Input should be a valid boolean"),
        ({"verb": "claim", "prepare": 1}, "prepare", "Input should be a valid boolean"),
        ({"verb": "claim", "amount": 10**9}, "amount", "no such field"),
        ({"verb": "claim", "withdraw": {}}, "withdraw", "Input should be a valid boolean"),
        ({"verb": "evict", "target": 7, "reason": "x"}, "target", "Input should be a valid string"),
        ({"verb": "evict", "target": None, "reason": "x"}, "target", "Input should be a valid string"),
        ({"verb": "evict", "target": "p" * 513}, "target", "String should have at most 512 characters"),
        ({"verb": "evict", "reason": "r" * 2049}, "reason", "String should have at most 2048 characters"),
    ],
)
async def test_a_wrong_field_is_told_and_nothing_is_done(path, answers, question, where, what):
    with pytest.raises(BadInput) as caught:
        await admin_json(path, question)
    assert (caught.value.where, caught.value.what) == (where, what)
    assert answers.asked == []


async def test_the_longest_reason_fits_into_a_question(path, answers):
    with pytest.raises(Refused):
        await ask_daemon(path, EvictRequest(target="p" * 512, reason="r" * 2048, deny=True), Evicted)
    assert len(answers.asked) == 1


async def test_a_daemon_of_before_an_upgrade_is_asked_without_fields_that_it_does_not_know(path, nursery):
    asked = []

    async def older(line):
        asked.append(json.loads(line))
        return CLAIMED

    await nursery.start(serve_admin, path, {"earnings": older, "overview": older})
    for question in (
        EarningsRequest(),
        EarningsRequest(by=GroupedBy.POD, chain=True),
        EarningsRequest(exact=False),
        OverviewRequest(),
    ):
        with pytest.raises(Refused):
            await ask_daemon(path, question, Earnings)
    assert asked == [
        {"verb": "earnings"},
        {"verb": "earnings", "by": "pod", "chain": True},
        {"verb": "earnings", "exact": False},
        {"verb": "overview"},
    ]


async def test_a_command_that_says_nothing_is_let_go(path, answers, autojump_clock):
    async with await trio.open_unix_socket(str(path)) as stream:
        reply = json.loads(await stream.receive_some(4096))
    assert reply["error"]["what"] == "not a question"


async def test_a_command_that_goes_away_stops_nothing(path, answers):
    for line in (b"", b'{"verb": "cl', b'{"verb": "claim"}\n'):
        async with await trio.open_unix_socket(str(path)) as stream:
            await stream.send_all(line)
    assert (await admin_json(path, {"verb": "claim"}))["items"] == 2


async def test_without_a_daemon_it_says_so(path):
    with pytest.raises(NoContext) as caught:
        await ask_daemon(path, ClaimRequest(), Claimed)
    assert caught.value.where == str(path)


@pytest.mark.parametrize("reply", [b"", b"no\n", b"[]\n", b'{"error": {"code": 7}}\n', b"x" * 200])
async def test_a_reply_that_is_none_is_no_daemon(path, nursery, reply):
    await nursery.start(_replies, path, reply)
    with pytest.raises(NoContext):
        await ask_daemon(path, ClaimRequest(), Claimed, 100)


@pytest.mark.parametrize("reply", [b"{}\n", b'{"ok": []}\n', b'{"ok": {"pods": [{"label": 1}]}}\n'])
async def test_an_answer_of_another_form_is_refused(path, nursery, reply):
    await nursery.start(_replies, path, reply)
    with pytest.raises(Refused) as caught:
        await ask_daemon(path, PodsRequest(), PodList)
    assert caught.value.rule == "pods"


async def _replies(path, reply, task_status=trio.TASK_STATUS_IGNORED):
    """Something that listens where a daemon would, and says *reply* to everybody."""

    async def talk(stream):
        async with stream:
            await stream.receive_some(4096)
            await stream.send_all(reply)

    listener = await socket.open_listener(path, backlog=1)
    task_status.started()
    await trio.serve_listeners(talk, [listener])
