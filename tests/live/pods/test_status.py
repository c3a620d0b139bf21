# SPDX-License-Identifier: Apache-2.0
"""What the provider confirms is signed by the attested key, and found again with the key alone."""

from dataclasses import dataclass
from pathlib import Path

import pytest
import trio

from tests.live.clients import web
from tests.live.clients.publisher import Deployed, Json, Publisher
from tests.live.conftest import unique
from tests.live.localnet_fixture import LiveLocalnet
from tests.live.observers.cluster import remains, replicas, until_zero
from tests.live.observers.money import Bank
from tests.live.observers.waiting import until
from trustedpods.contracts.terms import Terms
from trustedpods.localnet.market import accounts
from trustedpods.protocol.errors import RemoteProtocolError
from trustedpods.protocol.ids import channel_hex
from trustedpods.protocol.messages.pod import PodStatus, SignedStatement, StatusBody
from trustedpods.protocol.sealing.replies import verify_statement
from trustedpods.publisher.context import read_market
from trustedpods.publisher.journal import Journal
from trustedpods.publisher.keyfile import load_key
from trustedpods.publisher.market.market import open_account
from trustedpods.publisher.market.session import next_generation
from trustedpods.publisher.output.terminal import make_show
from trustedpods.publisher.results.pods import VisitProgress
from trustedpods.publisher.verbs.pods import visit

pytestmark = pytest.mark.live

CONFIRMED = ("channel", "namespace", "endpoints", "images", "terms", "provider", "generation", "issued_at")


@dataclass(frozen=True)
class Confirmation:
    """What a provider sent, and the key that its evidence, already verified, binds."""

    signed: SignedStatement
    reply_key: bytes


def always_one(spec: Json) -> None:
    spec["scale"] = {"min": 1, "max": 1}


@pytest.fixture(scope="module")
def pod(publisher: Publisher) -> Deployed:
    return publisher.deploy(publisher.manifest("hello", unique("known"), always_one))


def fetch(publisher: Publisher, name: str) -> Confirmation:
    """Ask for the pod's status as the command does, and keep the bytes."""

    async def ask() -> Confirmation:
        key = load_key(str(publisher.key), warn=pytest.fail)
        async with (
            open_account(read_market(publisher.market.market_file), key) as account,
            visit(account, name, VisitProgress(), Journal(make_show(as_json=True))) as visited,
        ):
            answer = await visited.session.ask(
                "status", visited.location.ref, StatusBody(), next_generation(), PodStatus
            )
            assert answer.statement is not None
            return Confirmation(answer.statement, visited.session.binding.reply_key)

    return trio.run(ask)


def test_endpoints_images_and_terms_are_signed_by_the_attested_key(
    market: LiveLocalnet, publisher: Publisher, pod: Deployed
) -> None:
    confirmed = fetch(publisher, pod.name)
    statement = verify_statement(confirmed.signed, confirmed.reply_key)
    assert statement.channel.hex() == pod.channel
    assert [endpoint.model_dump() for endpoint in statement.endpoints] == pod.result["endpoints"]
    assert web.get(statement.endpoints[0].url).status == 200
    images = publisher.run("validate", pod.file.name).json["images"]
    assert statement.images == images
    [replica] = replicas(market, statement.namespace)
    assert [one["image"].partition("@")[2] for one in replica["spec"]["containers"]] == [*images.values()]
    channel = Bank(market).channel(pod.channel)
    assert channel is not None
    assert Terms.unpack(statement.terms) == channel.terms
    assert channel_hex(channel.id) == pod.channel


def test_a_changed_byte_is_noticed_wherever_it_is(publisher: Publisher, pod: Deployed) -> None:
    confirmed = fetch(publisher, pod.name)
    signed = confirmed.signed
    for at in range(len(signed.statement)):
        changed = signed.model_copy(update={"statement": flipped(signed.statement, at)})
        with pytest.raises(RemoteProtocolError):
            verify_statement(changed, confirmed.reply_key)
    for at in range(len(signed.signature)):
        changed = signed.model_copy(update={"signature": flipped(signed.signature, at)})
        with pytest.raises(RemoteProtocolError):
            verify_statement(changed, confirmed.reply_key)
    with pytest.raises(RemoteProtocolError):
        verify_statement(signed, flipped(confirmed.reply_key, 7))


def flipped(data: bytes, at: int) -> bytes:
    """The bytes with one bit changed."""
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


def test_status_needs_the_key_and_the_market_only(
    publisher: Publisher, pod: Deployed, tmp_path: Path
) -> None:
    status = publisher.run("status", pod.name, home=tmp_path).json
    assert {name: status[name] for name in CONFIRMED} == {
        name: pod.result[name] if name != "provider" else status["provider"] for name in CONFIRMED
    }
    assert status["provider"].items() <= pod.result["provider"].items()
    assert (status["publisher"], status["channel_open"]) == (publisher.address, True)
    assert (status["phase"], status["ready"]) == ("serving", 1)
    assert accounts.address(publisher.key) == publisher.address


def test_the_same_file_again_changes_nothing_and_sends_no_chunk(
    market: LiveLocalnet, publisher: Publisher, pod: Deployed, tmp_path: Path
) -> None:
    bank = Bank(market)
    before, sent = replicas(market, pod.namespace), bank.transactions_of(publisher.address)
    again = publisher.run("deploy", pod.file.name, home=tmp_path).json
    for name in ("channel", "namespace", "endpoints", "images", "terms"):
        assert again[name] == pod.result[name], name
    assert again["generation"] > pod.result["generation"]
    assert again["sent"] == {"sent_bytes": 0, "sent_chunks": 0, "sent_blobs": []}
    assert pod.result["sent"]["sent_chunks"] > 0
    assert bank.transactions_of(publisher.address) == sent
    after = replicas(market, pod.namespace)
    assert [facts(one) for one in after] == [facts(one) for one in before]


def facts(replica: Json) -> tuple[str, str, int]:
    """What shows that a pod was neither replaced nor restarted."""
    [container] = replica["status"]["containerStatuses"]
    return replica["metadata"]["uid"], container["containerID"], container["restartCount"]


def unexposed(spec: Json) -> None:
    always_one(spec)
    spec["services"] = [{"name": "inside", "ports": [{"port": 80, "targetPort": 8080}]}]
    del spec["containers"][0]["readinessProbe"]


def test_a_worker_without_a_service_runs_is_billed_and_is_deleted(
    market: LiveLocalnet, publisher: Publisher
) -> None:
    bank = Bank(market)
    worker = publisher.deploy(publisher.manifest("hello", unique("worker"), unexposed))
    assert worker.result["endpoints"] == []
    deposit = bank.channel(worker.channel)
    status = publisher.run("status", worker.name).json
    assert (status["phase"], status["ready"]) == ("serving", 1)
    assert status["services"] == [{"name": "inside", "expose": "none", "urls": []}]
    [replica] = replicas(market, worker.namespace)
    begun = facts(replica)

    def used() -> int:
        return int(publisher.run("bill", worker.name).json["total_units"])

    until("use that is billed", lambda: used() > 0)
    [replica] = replicas(market, worker.namespace)
    assert facts(replica) == begun, "it never slept, nobody restarted it"
    publisher.run("delete", worker.name)
    publisher.gone(worker.name)
    until_zero(market, worker.namespace)
    assert not remains(market, worker.namespace.split("-")[1])
    assert bank.channel(worker.channel) is None
    closed = bank.events(worker.channel).closed
    assert deposit is not None
    assert closed is not None
    assert 0 < deposit.left - closed.refund < deposit.left
