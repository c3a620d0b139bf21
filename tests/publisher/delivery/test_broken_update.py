# SPDX-License-Identifier: Apache-2.0
"""However an update fails, its end says which version serves, and never how to end that one."""

import pytest

from trustedpods.protocol.errors import ExitCode, InsufficientFunds, NetworkFailure, Refused, TrustedPodsError
from trustedpods.protocol.messages.pod import PodStatus
from trustedpods.publisher.delivery.broken_update import judge
from trustedpods.publisher.results.deployed import AfterUpdate


def status(phase, version):
    """A status of which nothing else matters."""
    return PodStatus(
        phase=phase,
        reason="",
        generation=1,
        replicas=0,
        ready=0,
        statement=None,
        deposit=0,
        claimed=0,
        accrued=0,
        runway_s=None,
        up_to=0,
        unlock_at=0,
        events=[],
        services={},
        version=version,
    )


@pytest.mark.parametrize(
    ("phase", "version", "before", "text", "stands", "changed"),
    [
        ("serving", 2, 2, "version 2 still serves; nothing was changed", True, False),
        ("serving", 2, None, "version 2 still serves; nothing was changed", True, False),
        (
            "failing",
            2,
            2,
            "version 2 is still in place, and fails to start; nothing was changed",
            True,
            False,
        ),
        ("stopped", 2, 2, "version 2 is still in place, and stopped; nothing was changed", True, False),
        ("serving", 3, 2, "version 3 serves now, not 2: `trustedpods status web` says more", True, True),
        (
            "starting",
            2,
            2,
            "version 2 is being started again: `trustedpods status web` says when it serves",
            True,
            None,
        ),
        ("awaiting-key", 2, 2, "the provider was restarted and holds no version: deploy again", None, None),
        ("failed", 0, None, "nothing serves: the pod is failed", False, None),
        ("removing", 2, 2, "nothing serves: the pod is removing", False, None),
    ],
)
def test_what_a_status_says(phase, version, before, text, stands, changed):
    after = judge(status(phase, version), "web", before)
    assert (after.text, after.stands, after.changed) == (text, stands, changed)


def told(bench, caught):
    """Everything that a person reads of the last run."""
    return "\n".join([*bench.last.show.lines, *bench.last.show.warnings, str(caught.value.hint)])


BROKEN = {
    "it crashes": ({"crashes", "keeps-money"}, Refused, "version 1 still serves; nothing was changed"),
    "no room": ({"full"}, Refused, "version 1 still serves; nothing was changed"),
    "another image is confirmed": ({"other-image"}, NetworkFailure, "version 2 serves now, not 1"),
    "it goes silent": ({"hangs-up-late"}, NetworkFailure, "version 1 still serves; nothing was changed"),
    "it cannot be attested": ({"forged-report"}, TrustedPodsError, "the version before is still in place"),
}


@pytest.mark.parametrize("cause", BROKEN)
async def test_a_broken_update_says_what_serves(bench, cause):
    bench.wait(unsure_s=0.1)
    faults, error, text = BROKEN[cause]
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults = set(faults)
        with pytest.raises(error) as caught:
            await bench.deploy()
    assert text in caught.value.hint
    assert "trustedpods close" not in told(bench, caught)
    assert caught.value.exit_code is not ExitCode.FUNDS
    assert [verb for verb, _ in bench.chain.log] == ["open"]
    serves = bench.progress.serves
    assert (serves is None) is (cause == "it cannot be attested"), "else it was sent"
    if serves is not None:
        assert bench.progress.money.state == "open"
        assert serves.changed is (cause == "another image is confirmed")


async def test_a_provider_that_goes_back_is_waited_for(bench):
    bench.wait(update_look_s=0.01)
    async with bench.peer().serve() as peer:
        await bench.deploy()
        peer.faults, peer.coming = {"crashes", "keeps-money"}, ["serving", "importing", "starting"]
        with pytest.raises(Refused) as caught:
            await bench.deploy()
    assert caught.value.hint == "version 1 still serves; nothing was changed"
    text = "version 1 still serves; nothing was changed"
    assert bench.progress.serves == AfterUpdate(text, True, version=1, phase="serving", changed=False)


async def test_an_update_that_cannot_pay_its_cap_says_so_too(bench, monkeypatch):
    async def broken(*_arguments):
        raise InsufficientFunds("no gas", rule="gas")

    async with bench.peer().serve():
        await bench.deploy()
        monkeypatch.setattr("trustedpods.publisher.payment.channel.raise_cap", broken)
        with pytest.raises(InsufficientFunds) as caught:
            await bench.deploy()
    assert caught.value.hint == "version 1 still serves; nothing was changed"


async def test_a_provider_that_is_away_leaves_it_unknown(bench):
    async with bench.peer("hangs-up-late").serve() as peer:
        peer.faults.clear()
        await bench.deploy()
        peer.faults = {"hangs-up-late"}
        answer = peer._status

        async def away(request, answers):
            if "hangs-up-late" in peer.faults and peer.log.count("status") > 1:
                await answers.stream.reset()
                raise NetworkFailure("as a test asked")
            await answer(request, answers)

        peer._status = away
        with pytest.raises(NetworkFailure) as caught:
            await bench.deploy()
    assert caught.value.hint == "what serves now is not known: `trustedpods status hello` says it"
    assert "trustedpods close" not in told(bench, caught)
    assert bench.progress.money.state == "open"


async def test_where_nothing_ever_ran_the_way_to_the_money_is_told(bench):
    bench.wait(release_s=0.1, unsure_s=0.1)
    async with bench.peer("crashes", "keeps-money").serve():
        for _ in range(2):
            with pytest.raises(Refused) as caught:
                await bench.deploy()
    assert "trustedpods close hello" in told(bench, caught)
