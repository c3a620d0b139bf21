# SPDX-License-Identifier: Apache-2.0
"""`earnings` as a person, a program and a spreadsheet read it; no digit is lost in any of them."""

import csv
import io
import json

import pytest
import trio
from click.testing import CliRunner

from tests.provider.test_config import GOOD
from trustedpods.protocol.errors import ExitCode
from trustedpods.provider.admin.reports.views import EarnedView, Earnings, EarningsRequest, OwnerTotalsView
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.admin.views import GasTodayView
from trustedpods.provider.cli import main
from trustedpods.provider.core.earnings.sums import GroupedBy

LARGE = 123456789012345678901234567890
TOLD = Earnings(
    token="TPT",
    decimals=6,
    by=GroupedBy.DAY,
    rows=[
        EarnedView(key="2026-11-28", paid=str(LARGE), items=3, gas_wei="1000000000000000001"),
        EarnedView(key="2026-11-29", paid="0", items=0, gas_wei="7"),
    ],
    paid=str(LARGE),
    items=3,
    gas_wei="1000000000000000008",
    fees_unknown=2,
    out="1500000",
    claims_out=1,
    unclaimed="1",
    withdrawable="250000",
    chain=OwnerTotalsView(credited="500000", withdrawn="250000", claims=9, whole=False),
    trouble=None,
)


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))
    return path


@pytest.fixture
async def asked(config, nursery):
    """A daemon that answers with `TOLD` and keeps what it was asked."""
    kept = []

    async def answer(request: EarningsRequest) -> Earnings:
        kept.append(request)
        return TOLD

    verbs = {"earnings": verb_for(EarningsRequest, answer)}
    await nursery.start(serve_admin, config.parent / "operator.sock", verbs)
    return kept


async def told(config, *words):
    command = ["earnings", "--config", str(config), *words]
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, command))
    assert result.exit_code == 0, result.output
    return result.stdout


async def test_a_person_reads_exact_amounts_and_what_is_still_out(config, asked):
    text = await told(config, "--chain")
    assert asked == [EarningsRequest(by=GroupedBy.DAY, chain=True)]
    first = next(line for line in text.splitlines() if line.startswith("2026-11-28"))
    assert first.split() == [
        "2026-11-28",
        "123456789012345678901234.56789",
        "TPT",
        "3",
        "1.000000000000000001",
    ]
    assert "gas: 1.000000000000000008, 2 unknown" in text
    assert "claimed and still out: 1.5 TPT in 1 claims" in text
    assert "not claimed yet: 0.000001 TPT" in text
    assert "to withdraw: 0.25 TPT" in text
    assert (
        "by the chain: 0.5 TPT in 9 claims, 0.25 TPT withdrawn, but the node has forgotten some of it" in text
    )


async def test_a_spreadsheet_gets_whole_numbers(config, asked):
    rows = list(csv.reader(io.StringIO(await told(config, "-o", "csv", "--by", "month"))))
    assert asked[0].by is GroupedBy.MONTH
    assert rows[0] == ["month", "paid_base_units", "items", "gas_wei"]
    assert sum(int(row[1]) for row in rows[1:]) == LARGE
    assert [row[3] for row in rows[1:]] == ["1000000000000000001", "7"]


async def test_a_program_gets_all_of_it(config, asked):
    found = json.loads(await told(config, "-o", "json", "--since", "2026-11-28", "--until", "2026-11-30"))
    assert found == TOLD.plain()
    assert (asked[0].since, asked[0].until) == (1_795_824_000, 1_795_996_800)


@pytest.mark.parametrize(
    ("today", "line"),
    [
        (GasTodayView(spent="7", cap=None, waiting={}), "gas today: 0.000000000000000007"),
        (
            GasTodayView(spent="7", cap=str(10**18), waiting={"claims": 3, "row": 1}),
            "gas today: 0.000000000000000007 of at most 1, 4 wait for midnight UTC",
        ),
    ],
)
async def test_the_days_gas_is_told_with_its_bound_and_what_waits(config, nursery, today, line):
    async def answer(_request: EarningsRequest) -> Earnings:
        return TOLD.model_copy(update={"gas_today": today})

    verbs = {"earnings": verb_for(EarningsRequest, answer)}
    await nursery.start(serve_admin, config.parent / "operator.sock", verbs)
    words = ["earnings", "--config", str(config)]
    result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))
    assert line in result.stdout.splitlines()


async def test_without_the_chain_base_units_are_told(config, nursery):
    async def answer(_request: EarningsRequest) -> Earnings:
        silent = {
            "token": None,
            "decimals": None,
            "withdrawable": None,
            "chain": None,
            "trouble": "no answer",
        }
        return TOLD.model_copy(update=silent)

    verbs = {"earnings": verb_for(EarningsRequest, answer)}
    await nursery.start(serve_admin, config.parent / "operator.sock", verbs)
    text = await told(config)
    assert f"earned: {LARGE} base units" in text
    assert "to withdraw: -" in text
    assert "the chain: no answer" in text


def test_a_wrong_date_is_named():
    result = CliRunner().invoke(main, ["earnings", "--since", "yesterday"])
    assert result.exit_code == ExitCode.BAD_INPUT
    assert "yesterday" in result.stderr
