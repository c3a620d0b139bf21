# SPDX-License-Identifier: Apache-2.0
"""`capability list` as a person and a program read it."""

import json

import trio
from click.testing import CliRunner

from tests.provider.test_config import GOOD
from trustedpods.provider.admin.reports.views import Offers, OffersRequest, OfferView
from trustedpods.provider.admin.socket import serve_admin, verb_for
from trustedpods.provider.cli import main
from trustedpods.provider.core.placement.explained import OfferState

TOLD = Offers(
    offers=[OfferView(kind="storage class", name="fast", state=OfferState.GONE, why="the cluster has none")],
    row_current=True,
    row="the registry's row names this profile",
)


async def test_each_capability_is_a_line_with_its_reason(tmp_path, nursery):
    path = tmp_path / "provider.toml"
    path.write_text(GOOD.replace("/var/lib/tp", str(tmp_path)))

    async def answer(_request: OffersRequest) -> Offers:
        return TOLD

    await nursery.start(serve_admin, tmp_path / "operator.sock", {"offers": verb_for(OffersRequest, answer)})
    for more in ([], ["-o", "json"]):
        command = ["capability", "list", "--config", str(path), *more]
        result = await trio.to_thread.run_sync(lambda words=command: CliRunner().invoke(main, words))
        assert result.exit_code == 0, result.output
        if more:
            assert json.loads(result.stdout) == TOLD.plain()
            continue
        lines = result.stdout.splitlines()
        assert all(word in lines[1] for word in ("storage class", "fast", "gone", "the cluster has none"))
        assert lines[-1] == "registry: the registry's row names this profile"
