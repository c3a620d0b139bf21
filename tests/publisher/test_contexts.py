# SPDX-License-Identifier: Apache-2.0
"""Contexts: read strictly, written whole, behind flags and the environment, asked for on a terminal once."""

import json
from functools import partial
from pathlib import Path

import click
import pytest
import trio
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from tests.publisher.networks.test_port_forward import kubectl
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.networks.content import MAX_CLUSTERS
from trustedpods.publisher.cli import main
from trustedpods.publisher.commands.network import contexts as command
from trustedpods.publisher.context import locate
from trustedpods.publisher.contexts import Context, Contexts, load_contexts, save_contexts
from trustedpods.publisher.core.networks.mapping import parse_clusters

__all__ = ["kubectl"]

OWNER = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"


@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    for name in ("XDG_CONFIG_HOME", "TRUSTEDPODS_MARKET", "TRUSTEDPODS_KEY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "work.toml").write_text("")
    (tmp_path / "work.key").write_text("")
    return tmp_path


def run(*words, code=0):
    result = CliRunner().invoke(main, ["context", *words])
    assert result.exit_code == code, result.output
    return result


def test_a_context_is_made_used_changed_and_listed(home):
    assert "no contexts" in run("list").stdout
    run("use", "work", "--market", str(home / "work.toml"), "--policy", "strict")
    run("use", "work", "--payer", f"safe:{OWNER}")
    run("use", "home", "--key", str(home / "work.key"))
    run("map", f"k1={OWNER}/2")
    shown = json.loads(run("use", "work", "--key", str(home / "work.key"), "-o", "json").stdout)
    assert shown["current"] == "work"
    assert shown["contexts"]["work"] == {
        "market": str(home / "work.toml"), "key": str(home / "work.key"), "policy": "strict", "clusters": {},
        "payer": f"safe:{OWNER}",
    }  # fmt: skip
    assert shown["contexts"]["home"]["clusters"] == {"k1": f"{OWNER}/2"}
    text = run("list").stdout
    assert "* work" in text
    assert f"    payer safe:{OWNER}" in text
    assert f"    cluster k1 is {OWNER}/2" in text


def test_a_payer_of_a_context_is_checked_and_taken_away_by_an_empty_text(home):
    run("use", "work", "--key", str(home / "work.key"), "--payer", f"{OWNER}@/run/clef.ipc")
    assert "names no payer" in run("use", "work", "--payer", "me", code=2).stderr
    assert f"{OWNER}@/run/clef.ipc" in run("list").stdout
    run("use", "work", "--payer", "")
    assert "    payer " not in run("list").stdout


def test_a_cluster_of_the_kubeconfig_is_asked_once_which_daemon_it_has(home, kubectl, monkeypatch):
    """What it says is kept with the way, so that who must answer is pinned from then on."""
    peer = "/p2p/12D3KooWDpJ7As7BWAwRMfu1VU2WCqNjvq387JEYKDBj4kx6nXTN"
    monkeypatch.setenv("WORDS", f"{OWNER}/2@{peer}")
    shown = json.loads(run("map", "k2=kube:admin@prod", "-o", "json").stdout)
    assert shown["contexts"]["default"]["clusters"] == {"k2": f"{OWNER}/2@{peer}@kube:admin@prod"}
    monkeypatch.setenv("WORDS", "anything else")
    assert "not an address" in run("map", "k2=kube:admin@prod", code=2).stderr
    monkeypatch.setenv("WORDS", "")
    assert "does not say whose daemon" in run("map", "k2=kube:admin@prod", code=4).stderr


def test_a_context_may_map_more_clusters_than_one_network_has(home):
    for number in range(MAX_CLUSTERS + 1):
        run("map", f"k{number}={OWNER}/{number}")
    assert len(parse_clusters(command.mapped(), of_context=True)) == MAX_CLUSTERS + 1
    with pytest.raises(BadInput, match=f"{MAX_CLUSTERS + 1} clusters; at most {MAX_CLUSTERS}"):
        parse_clusters(command.mapped())
    assert "k3" not in run("unmap", "k3").stdout
    assert len(command.mapped()) == MAX_CLUSTERS
    assert "no cluster 'k3' is mapped; there is: k0, k1" in run("unmap", "k3", code=4).stderr


def test_flags_and_environment_go_before_the_context_and_it_before_the_folder(home):
    def file(name):
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text("")
        return str(home / name)

    env = {"HOME": str(home)}
    fallback = file(".config/trustedpods/key")
    run("use", "work", "--key", file("one.key"))
    assert locate("key", None, "K", "key", env) == home / "one.key"
    assert locate("key", None, "K", "key", env | {"K": file("env.key")}) == home / "env.key"
    assert locate("key", file("flag.key"), "K", "key", env | {"K": file("env.key")}) == home / "flag.key"
    (home / "one.key").unlink()
    with pytest.raises(NoContext, match="key of the context 'work' names"):
        locate("key", None, "K", "key", env)
    run("use", "other", "--market", str(home / "work.toml"))
    assert locate("key", None, "K", "key", env) == Path(fallback)


def test_what_is_no_context_or_no_provider_is_said(home):
    assert "no context 'work'; there is: none" in run("use", "work", code=4).stderr
    assert "names /absent, which is not a file" in run("use", "w", "--key", "/absent", code=4).stderr
    run("map", "k1=me", code=2)
    run("map", f"K1={OWNER}", code=2)
    run("use", "No Name", "--key", str(home / "work.key"), code=2)
    assert not (home / ".config/trustedpods/config.toml").exists()


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("colour = 1", "unknown field 'colour'"),
        ("current = 'x'", "current names no context"),
        ("[contexts.a]\ncolour = 1", "unknown field contexts.a.colour"),
        ("[contexts.a]\nmarket = 1", "contexts.a.market must be a text"),
        ("[contexts.a.clusters]\nk1 = 1", "contexts.a.clusters.k1 must be a text"),
        ("contexts = 3", "contexts must be a table"),
        ("[contexts", "not valid TOML"),
    ],
)
def test_a_wrong_file_is_named_with_its_field(home, text, told):
    path = home / ".config/trustedpods/config.toml"
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with pytest.raises(BadInput, match=told.replace(".", r"\.")) as caught:
        load_contexts({"HOME": str(home)})
    assert caught.value.where == str(path)


texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20)


@settings(max_examples=examples(100))
@given(st.dictionaries(texts, st.tuples(texts, st.none() | texts, st.dictionaries(texts, texts, max_size=3))))
def test_what_is_written_is_read_again(tmp_path_factory, named):
    folder = tmp_path_factory.mktemp("home")
    path = folder / ".config/trustedpods/config.toml"
    made = {
        name: Context(name, one, two, None, clusters, two) for name, (one, two, clusters) in named.items()
    }
    written = Contexts(path, next(iter(made), None), made)
    save_contexts(written)
    assert load_contexts({"HOME": str(folder)}) == written


async def test_providers_are_listed_and_on_a_terminal_one_is_chosen(bench, home, monkeypatch):
    monkeypatch.setattr("trustedpods.publisher.market.market.Chain", lambda *_, **__: bench.chain)
    monkeypatch.setattr("trustedpods.publisher.context.load_market", lambda _: bench.account.market.file)
    async with bench.peer().serve(), bench.peer().serve():
        rows = [f"{owner}/{daemon}" for owner, daemon in sorted(bench.chain.rows)]
        told = (await trio.to_thread.run_sync(partial(run, "map", "k1", code=4))).stderr
    assert len(rows) == 2
    assert [row for row in rows if f"k1={row}" in told] == rows
    assert "context map k1=" in told
    monkeypatch.setattr("sys.stdin.isatty", lambda: True)
    asked = []

    def prompt(text, **_):
        asked.append(text)
        return 2

    monkeypatch.setattr(click, "prompt", prompt)
    assert command.choose("k1", rows) == rows[1]
    assert asked == ["provider of cluster k1"]
