# SPDX-License-Identifier: Apache-2.0
"""`operator-key` as a person and a program read it."""

import json

import pytest
import trio
from click.testing import CliRunner

from tests.provider.test_config import GOOD
from trustedpods.provider.admin.reports.operator_key import KeyChange, OperatorKeyRequest, OperatorKeyView
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.cli import main

TOLD = OperatorKeyView(
    address="0x" + "ab" * 20,
    balance="5",
    named=False,
    unfinished=2,
    former_unfinished=0,
    claims_out=1,
    change=None,
    trouble=None,
)

CHANGE = KeyChange(step="restart", told="restart it", following=None, former="0x" + "cd" * 20)


@pytest.mark.parametrize(
    ("told", "lines"),
    [
        (TOLD, ["holds: 5 wei", "named by the owner: no: `trustedpods-provider setup` prints"]),
        (TOLD.model_copy(update={"named": True}), ["named by the owner: yes"]),
        (
            TOLD.model_copy(update={"named": None, "balance": None, "trouble": "it is away"}),
            ["holds: -", "named by the owner: -", "trouble: it is away"],
        ),
        (
            TOLD.model_copy(update={"change": CHANGE, "former_unfinished": 3}),
            ["unfinished of former keys: 3", "change of keys: restart it"],
        ),
    ],
)
async def test_the_key_is_told_line_by_line_and_as_json(tmp_path, nursery, told, lines):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))

    async def answer(_request: OperatorKeyRequest) -> OperatorKeyView:
        return told

    verbs = {"operator-key": verb_for(OperatorKeyRequest, answer)}
    await nursery.start(serve_admin, tmp_path / "operator.sock", verbs)

    async def run(*more):
        words = ["operator-key", "--config", str(path), *more]
        result = await trio.to_thread.run_sync(lambda: CliRunner().invoke(main, words))
        assert result.exit_code == 0, result.output
        return result.stdout

    text = await run()
    for line in ["unfinished transactions: 2", "claims under way: 1", *lines]:
        assert line in text
    assert json.loads(await run("-o", "json")) == told.plain()


@pytest.mark.parametrize("words", [["--lost"], ["--wait", "5"]])
def test_what_is_for_a_change_alone_is_refused_without_it(words):
    result = CliRunner().invoke(main, ["operator-key", *words])
    assert result.exit_code == 2
    assert "--rotate" in result.stderr
