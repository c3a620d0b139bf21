# SPDX-License-Identifier: Apache-2.0
"""A renewal at an authority that misbehaves: it is left alone for a while, and its orders are few."""

import time

import pytest
import trio

from tests.provider.acme.broken import BrokenAuthority, broken_authority, cuts, says
from trustedpods.provider.acme.files import OrderFiles
from trustedpods.provider.acme.proofs import HookProofs, Proofs
from trustedpods.provider.acme.renewer import AcmeRenewal, RenewalPlace
from trustedpods.provider.acme.settings import AcmeSettings
from trustedpods.provider.core.certificates.renewal import FIRST_RETRY_S
from trustedpods.provider.core.certificates.types import (
    HeldCertificate,
    OpenAccount,
    OrderStage,
    PlaceOrder,
    ProveNames,
    RenewalState,
    WaitUntil,
)

DOMAIN = "k1.acme.test"
NAMES = (DOMAIN, f"*.{DOMAIN}")


@pytest.fixture
def authority(tmp_path):
    with broken_authority(tmp_path) as here:
        yield here


def program(tmp_path, text: str) -> str:
    path = tmp_path / "hook"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def renewal(tmp_path, authority: BrokenAuthority, text: str = "exit 0", **changes) -> AcmeRenewal:
    hook = program(tmp_path, text)
    settings = AcmeSettings.model_validate(
        {
            "directory": authority.directory,
            "terms_agreed": True,
            "challenge": "dns-01",
            "trusted_root": str(authority.root),
            "hook": [hook],
            "hook_limit_s": 1,
        }
    )
    proofs: Proofs = HookProofs([hook], 1)

    async def changed() -> None:
        raise AssertionError("no certificate comes")

    place = RenewalPlace(settings, DOMAIN, OrderFiles(tmp_path / "acme"), proofs, None, time.time, changed)
    return AcmeRenewal(place, 0.01, **changes)


async def until_waiting(one: AcmeRenewal) -> list:
    done = [await one.begin()]
    while not isinstance(done[-1], WaitUntil):
        done.append(await one.carry_on(done[-1]))
        assert len(done) < 10
    return done


@pytest.mark.parametrize("answer", [cuts, says({"status": "pending"})], ids=["cut", "without a URL"])
async def test_an_answer_that_is_cut_is_a_failure_and_no_storm(tmp_path, authority, answer):
    authority.answers["/newOrder"] = answer
    done = await until_waiting(renewal(tmp_path, authority))
    assert [type(one) for one in done] == [OpenAccount, PlaceOrder, WaitUntil]
    for _ in range(5):  # the daemon is started again and again
        one = renewal(tmp_path, authority)
        assert isinstance(await one.begin(), WaitUntil)
        assert one.state.failures == 1
        assert "does not answer as it should" in one.state.problem
        assert one.state.wait_until >= time.time() + FIRST_RETRY_S - 60
    assert authority.asked.count("/newOrder") == 1
    assert len(one.state.orders) == 1


async def test_a_directory_that_is_none_uses_up_no_orders(tmp_path, authority):
    authority.answers["/directory"] = says([])
    one = renewal(tmp_path, authority)
    assert [type(each) for each in await until_waiting(one)] == [OpenAccount, WaitUntil]
    assert (one.state.failures, one.state.orders, one.state.order) == (1, (), None)


async def test_an_authority_that_never_answers_is_left_behind(tmp_path, authority):
    authority.answers["/newOrder"] = lambda handler: authority.over.wait(60)
    one = renewal(tmp_path, authority, call_within_s=0.5)
    with trio.fail_after(20):
        await until_waiting(one)
    assert "has not answered within 0.5 s" in one.state.problem
    assert one.state.failures == 1


async def test_a_cleanup_that_hangs_hides_no_failure(tmp_path, authority):
    invalid = {**authority.good("/order"), "status": "invalid"}
    text = f'echo "$1" >> {tmp_path}/told\ncase $1 in cleanup) sleep 60;; esac'
    one = renewal(tmp_path, authority, text)
    command = await one.begin()
    while not isinstance(command, ProveNames):
        command = await one.carry_on(command)

    def ready(handler) -> None:
        authority.answers["/order"] = says(invalid)
        authority.well(handler)

    authority.answers["/ready"] = ready
    assert isinstance(await one.carry_on(command), WaitUntil)
    assert (tmp_path / "told").read_text().split() == ["present", "cleanup"]
    assert "did not see the proof" in one.state.problem
    assert one.state.failures == 1


async def test_more_proofs_than_names_lose_the_order(tmp_path, authority):
    many = {**authority.good("/order"), "authorizations": [f"{authority.base}/proof"] * 3}
    authority.answers["/order"] = says(many)
    one = renewal(tmp_path, authority)
    await until_waiting(one)
    assert "3 proofs of 2 names" in one.state.problem
    assert one.state.order is None
    assert "/proof" not in authority.asked


async def test_after_a_failure_the_account_is_looked_for_again(tmp_path, authority):
    authority.answers["/order"] = cuts
    one = renewal(tmp_path, authority)
    await until_waiting(one)
    assert one.state.order is not None
    assert one.state.order.stage is OrderStage.PROVING
    await one.carry_on(ProveNames(one.state.order.url))
    assert authority.asked.count("/newAccount") == 2
    assert one.state.failures == 2


async def test_what_another_directory_gave_is_no_reason_to_wait(tmp_path, authority):
    now = int(time.time())
    held = HeldCertificate(NAMES, now, now + 90 * 86400, None, now + 3600)
    files = OrderFiles(tmp_path / "acme")
    files.keep_state(RenewalState(held, wait_until=now + 3600, directory="https://staging.example/dir"))
    assert isinstance(await renewal(tmp_path, authority).begin(), OpenAccount)
    files.keep_state(RenewalState(held, directory=authority.directory))
    (tmp_path / "acme" / "certificate.pem").unlink(missing_ok=True)
    one = renewal(tmp_path, authority)
    await one.begin()
    assert one.state.held is None, "of the same authority, but its certificate is gone"
