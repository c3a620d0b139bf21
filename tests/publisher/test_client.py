# SPDX-License-Identifier: Apache-2.0
"""`trustedpods.publisher` as another program uses it: the public names alone, against a market in memory."""

import re

import click
import pytest

from tests.paths import ROOT
from tests.publisher.test_cli import cli, loaded_modules
from trustedpods import publisher
from trustedpods.publisher.cli import main

__all__ = ["cli"]

PAGE = (ROOT / "docs/python.md").read_text()
EXAMPLE = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)[1]


@pytest.fixture
def market(cli, bench):
    """The environment of `trustedpods`, which `connect` reads too."""
    return bench


async def test_the_life_of_a_pod(market):
    file = market.folder / "pod.yaml"
    async with market.peer().serve() as peer, publisher.connect() as client:
        (listed,) = (await client.providers(attest=True)).providers
        assert listed.provider.owner == peer.owner
        assert listed.proof.simulated
        attested = await client.attest(listed.provider.name)
        assert attested.verdict.trust == "sealed"

        assert publisher.validate_manifest(file).pod == "hello"
        assert [offer.provider for offer in (await client.estimate(file)).offers] == [listed.provider]
        assert (await client.plan(file)).effect == "create"
        deployed = await client.deploy(file, deposit="1h")
        assert (await client.plan(file)).effect == "unchanged"
        assert isinstance(deployed, publisher.DeployResult)
        assert deployed.confirmed.endpoints[0].url.startswith("http://")
        status = await client.status("hello")
        assert (status.phase, status.confirmed) == ("serving", deployed.confirmed)
        assert [piece.data for piece in (await client.logs("hello")).pieces] == [b"line one\n", b"line two\n"]

        ran = await client.exec("hello", ["cat"], input=b"bytes")
        assert (ran.exit_code, ran.stdout, ran.stderr) == (0, b"bytes", b"")
        assert (await client.exec("hello", ["fail", "7"])).exit_code == 7

        before = status.pod.channel.live.left
        funded = await client.fund("hello", "2.5")
        assert funded.channel.live.left == before + funded.paid == before + 2_500_000
        assert (await client.bill("hello", manifest=file)).problems == ()
        assert (await client.audit("hello", manifest=file)).holds
        assert [pod.state for pod in (await client.watch()).pods] == ["ok"]
        assert [channel.state for channel in (await client.balance()).channels] == ["open"]

        assert (await client.stop("hello")).since is not None
        assert (await client.start("hello")).since is None
        assert (await client.restart("hello")).update == "beside"
        assert [one.serves for one in (await client.versions("hello")).versions] == [True]
        assert [pod.replicas for pod in (await client.top()).pods] == [1]
        assert (await client.push(file)).sent.sealed_bytes == 0
        assert (await client.events("hello")).events == status.events
        assert (await client.usage("hello")).problems == ()

        deleted = await client.delete("hello")
        assert deleted.money.state == "released"
        assert deleted.money.refund == before + funded.paid


async def test_close_without_the_provider(market):
    async with publisher.connect() as client:
        async with market.peer().serve():
            await client.deploy(market.folder / "pod.yaml", name="second")
        progress = publisher.CloseProgress()
        (closed,) = (await client.close("second", progress=progress)).channels
        assert closed.outcome.state == "unlocking"
        assert progress.channels == [closed]


async def test_after_a_failure_progress_says_where_the_money_is(market):
    progress = publisher.DeployProgress()
    async with market.peer("crashes").serve(), publisher.connect() as client:
        with pytest.raises(publisher.TrustedPodsError) as caught:
            await client.deploy(market.folder / "pod.yaml", progress=progress)
    assert caught.value.code == "refused"
    assert progress.money.state == "released"
    assert progress.confirmed is None


@pytest.mark.parametrize(
    ("verb", "arguments"),
    [
        ("deploy", {"manifest": "pod.yaml", "deposit": "lots"}),
        ("deploy", {"manifest": "pod.yaml", "name": "No Name"}),
        ("deploy", {"manifest": "pod.yaml", "provider": "0x12"}),
        ("deploy", {"manifest": "absent.yaml"}),
        ("fund", {"name": "hello", "amount": "-1"}),
        ("logs", {"name": "hello", "tail": 0}),
        ("exec", {"name": "hello", "command": []}),
        ("attest", {"provider": "nobody"}),
    ],
)
async def test_bad_input_is_an_error_of_ours(market, monkeypatch, verb, arguments):
    monkeypatch.chdir(market.folder)
    async with publisher.connect() as client:
        with pytest.raises(publisher.TrustedPodsError) as caught:
            await getattr(client, verb)(**arguments)
    assert caught.value.code == "bad-input"


async def test_no_market_is_said(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("TRUSTEDPODS_MARKET", raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    with pytest.raises(publisher.TrustedPodsError) as caught:
        async with publisher.connect():
            raise AssertionError
    assert caught.value.code == "no-context"


async def test_what_a_verb_tells_goes_to_the_logger(market, caplog):
    caplog.set_level("INFO", "trustedpods")
    async with market.peer().serve(), publisher.connect() as client:
        await client.deploy(market.folder / "pod.yaml")
    assert any("serves at http://" in record.message for record in caplog.records)


async def test_the_example_of_the_page_runs(market, monkeypatch, capsys):
    monkeypatch.chdir(market.folder)
    names = {"__name__": "example"}
    exec(compile(EXAMPLE, "docs/python.md", "exec"), names)
    async with market.peer().serve():
        await names["main"]()
    assert "http://pabc.k1.test.localhost:18080/" in capsys.readouterr().out
    assert [verb for verb, _ in market.chain.log] == ["open"]


def test_every_public_name_is_there_and_on_the_page():
    for name in publisher.__all__:
        assert getattr(publisher, name).__doc__, name
        assert f"`{name}" in PAGE, name
    listed = [name for names in publisher._MODULES.values() for name in names]
    assert sorted(listed) == sorted(publisher.__all__)


def test_the_page_shows_every_verb_and_each_names_its_result():
    verbs = [name for name in dir(publisher.Client) if not name.startswith("_")]
    assert len(verbs) >= 38
    for verb in verbs:
        assert f"`{verb}(" in PAGE, verb


CALLED = {
    "cp": "copy",
    "port-forward": "port_forward",
    "image push": "push",
    "list": "list",
    "network card": "network_card",
    "network history": "history",
    "network lost": "network_lost",
    "network member add": "member_add",
    "network member remove": "member_remove",
    "network member role": "member_role",
    "provider inspect": "inspect",
    "provider list": "providers",
    "state compare": "state_show",
    "validate": "",
}
"""Methods of verbs that are not called as those are; `validate` is `validate_manifest`, without a market."""

NOT_CALLED = {
    "backup", "restore", "network backup",  # no method yet
    "open",  # `status` has the addresses, a program its own browser
    "ui",  # a page for a person, made of `list`, `providers` and `overview`
    "completion", "help", "version",  # of a shell, or of a person at it
    "schema",  # what a program reads of the command; its own results have types
    "context list", "context map", "context unmap", "context use",  # a program hands in files
    "convert", "explain", "init", "network init", "network render",  # files for a person to read and change
    # what two owners hand to each other as files: no method yet
    "network accept", "network export", "network import", "network invite", "network join", "network leave",
    "network exec",  # `exec` of the node's pod, whose name `network_status` has
    "context fetch",  # a program hands in files
}  # fmt: skip
"""Verbs without a method, and why."""


def verbs_of(group, context, path=()):
    for name in group.list_commands(context):
        verb = group.get_command(context, name)
        if isinstance(verb, click.Group):
            yield from verbs_of(verb, context, (*path, name))
        else:
            yield " ".join((*path, name))


def test_every_verb_of_the_command_is_a_method_or_says_why_not():
    """`run` blocks until one of them is done, so that a program without trio has them all."""
    verbs = set(verbs_of(main, click.Context(main)))
    assert NOT_CALLED | CALLED.keys() <= verbs
    named = {verb: CALLED.get(verb, verb.replace(" ", "_")) for verb in verbs - NOT_CALLED}
    assert {verb for verb, name in named.items() if name and not hasattr(publisher.Client, name)} == set()


def test_a_name_that_is_not_public_is_no_attribute():
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = publisher.nothing_like_it


def test_importing_the_face_costs_nothing():
    assert not {"web3", "libp2p", "pydantic", "trio"} & loaded_modules("--help")
