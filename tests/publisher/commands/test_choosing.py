# SPDX-License-Identifier: Apache-2.0
"""`deploy --choose`: what is shown, what is taken, and where nobody can be asked."""

import io
from dataclasses import replace

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.commands.choosing import _ask, check_choosing, chosen, numbered
from trustedpods.publisher.pod import read_pod
from trustedpods.publisher.results.estimated import EstimatedNot
from trustedpods.publisher.verbs.estimate import estimate

__all__ = ["cli"]


def pod_of(bench):
    return read_pod(bench.folder / "pod.yaml", bench.folder / "cache")


def put_dearer_row(bench, peer):
    """A second provider of the same owner, whose prices are twice as high."""
    row = bench.chain.rows[peer.owner, 0]
    prices = row.prices.model_copy(update={"cpu_core_ms": 2 * row.prices.cpu_core_ms})
    bench.chain.rows[peer.owner, 1] = replace(row, daemon=1, prices=prices)


@pytest.mark.parametrize(("typed", "daemon"), [("\n", 0), ("2\n", 1), ("3\nx\n2\n", 1)])
async def test_a_person_takes_one_by_its_number(bench, monkeypatch, capsys, typed, daemon):
    """The cheapest is offered; what is no number of the list is asked again."""
    async with bench.peer().serve() as peer:
        put_dearer_row(bench, peer)
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        choice = await chosen(bench.account.market, pod_of(bench), None)
    assert (choice.owner, choice.daemon) == (peer.owner, daemon)
    shown = capsys.readouterr()
    assert shown.out == ""
    assert f"1  {peer.owner}/0" in shown.err
    assert f"2  {peer.owner}/1" in shown.err


async def test_what_a_provider_says_reaches_no_terminal_as_it_is(bench, monkeypatch, capsys):
    async with bench.peer().serve() as peer:
        result = await estimate(bench.account.market, pod_of(bench))
    left_out = EstimatedNot(replace(result.offers[0].provider, daemon=1), "full\x1b]0;x\x07\nWhich provider")
    monkeypatch.setattr("sys.stdin", io.StringIO("\n"))
    assert _ask(replace(result, left_out=(left_out,))).owner == peer.owner
    shown = capsys.readouterr().err
    assert "full\N{REPLACEMENT CHARACTER}]0;x" in shown
    assert "\x1b" not in shown


async def test_numbers_stand_before_those_that_can_be_taken(bench):
    async with bench.peer().serve() as peer:
        put_dearer_row(bench, peer)
        lines = numbered(await estimate(bench.account.market, pod_of(bench)))
    assert [line.split()[0] for line in lines[1:4]] == ["PROVIDER", "1", "2"]
    assert lines[1].index("PROVIDER") == lines[2].index(peer.owner)


@pytest.mark.parametrize(
    ("provider", "as_json", "terminal", "message"),
    [
        ("0xabc/1", False, True, "--provider names the one to take"),
        (None, True, True, "nobody is at a terminal"),
        (None, False, False, "nobody is at a terminal"),
    ],
)
def test_where_nobody_can_choose(monkeypatch, provider, as_json, terminal, message):
    monkeypatch.setattr("sys.stdin.isatty", lambda: terminal, raising=False)
    with pytest.raises(BadInput, match=message) as caught:
        check_choosing(provider, as_json=as_json)
    assert caught.value.hint


async def test_the_verb_says_so(cli, bench):
    result = await cli("deploy", "pod.yaml", "--choose")
    assert result.exit_code == 2
    assert "nobody is at a terminal" in result.stderr
    assert bench.chain.log == []
