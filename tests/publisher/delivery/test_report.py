# SPDX-License-Identifier: Apache-2.0
"""What a person is told beside a deploy's addresses, and where no provider can take the pod."""

from dataclasses import replace

import pytest

from tests.contracts.test_registry_rows import ROW
from tests.publisher.test_cli import cli
from trustedpods.protocol.ids import parse_address
from trustedpods.publisher.core.select import LeftOut, Selection
from trustedpods.publisher.delivery.report import SHOWN_REASONS, local_note, nobody

__all__ = ["cli"]

HTTP = "http://pabc.k1.demo.localhost:18080/"
HTTPS = "https://pabc.k1.demo.localhost:18443/"


@pytest.mark.parametrize("urls", [(), ("https://shop.example.org/",), ("tcp://203.0.113.7:30123",)])
def test_addresses_that_everybody_resolves_need_no_word(urls):
    assert local_note(urls) is None


@pytest.mark.parametrize(("urls", "secure"), [([HTTP], False), ([HTTP, HTTPS], True)])
def test_those_of_a_localnet_do(urls, secure):
    told = local_note(urls)
    assert "`Host: pabc.k1.demo.localhost:18080`" in told
    assert ("curl -k" in told) is secure


def left_out(number: int, reason: str) -> LeftOut:
    owner = parse_address("0x" + f"{number:02x}" * 20)
    return LeftOut(replace(ROW, owner=owner), reason)


def test_a_reason_of_several_is_one_line_with_their_number() -> None:
    out = (left_out(1, "too dear"), left_out(2, "class open"), left_out(3, "class open"))
    error = nobody(Selection((), out), "sealed")
    first = error.what.splitlines()[0]
    assert first == "none of 3 providers can take a pod of class sealed"
    assert error.others[0] == "2 providers: class open"
    assert error.others[1].endswith(": too dear")
    assert error.others[1].lower().startswith("0x" + "01" * 20)
    assert error.what.splitlines()[1:] == list(error.others)


def test_many_reasons_are_bounded_and_counted() -> None:
    out = tuple(left_out(number, f"reason {number}") for number in range(1, 30))
    error = nobody(Selection((), out), "sealed")
    assert len(error.others) == SHOWN_REASONS + 1
    assert error.others[-1] == f"{29 - SHOWN_REASONS} more, for other reasons (--explain)"


async def test_a_deploy_that_nobody_matches_says_each_reason_in_a_line(bench, cli) -> None:
    before = dict(bench.chain.tokens)
    async with bench.peer().serve() as peer:
        bench.chain.rows.clear()
        for number in (7, 8, 9):
            row = replace(peer.row, owner=parse_address("0x" + f"{number:02x}" * 20), token="0x" + "ee" * 20)
            bench.chain.rows[row.owner, row.daemon] = row
        done = await cli("deploy", bench.folder / "pod.yaml", "--deposit", "1h")
    assert done.exit_code == 6
    error = done.stderr[done.stderr.index("error: ") :].splitlines()
    assert error[0] == "error: none of 3 providers can take a pod of class sealed [no-provider]"
    assert error[1].startswith("       3 providers: takes another token (0x")
    assert error[2].startswith("hint: `trustedpods provider list --for FILE`")
    assert bench.chain.tokens == before
    assert bench.chain.log == []
