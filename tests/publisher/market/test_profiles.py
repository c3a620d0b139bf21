# SPDX-License-Identifier: Apache-2.0
"""A provider that lacks what a pod needs is left out before anything is paid, and it is said why."""

import json

import pytest

from tests.publisher.test_cli import cli
from trustedpods.protocol.errors import Refused

__all__ = ["cli"]


def wants(bench, zone):
    """The bench's manifest, for nodes of that zone."""
    path = bench.folder / "pod.yaml"
    path.write_text(path.read_text() + f"  nodeSelector: {{zone: {zone}}}\n")
    return path


def has_zone(peer, *zones):
    labels = {"node_labels": {"zone": list(zones)}}
    peer.capabilities = peer.capabilities.model_copy(update=labels)
    return peer


async def test_a_deploy_goes_to_the_provider_that_has_the_nodes(bench):
    wants(bench, "b")
    async with (
        bench.peer(cpu_price=1).serve() as cheap,
        has_zone(bench.peer(cpu_price=9000), "b", "c").serve() as other,
    ):
        result = await bench.deploy()
        assert result.chosen.provider.owner == other.owner
    (warning,) = bench.last.show.warnings
    assert "no node with zone=b; advertised: zone=a" in warning
    assert cheap.log == ["attest"], "a pod that does not fit is not told of"


async def test_where_nobody_has_them_nothing_is_paid(bench):
    wants(bench, "b")
    async with bench.peer().serve():
        with pytest.raises(Refused, match="no node with zone=b; advertised: zone=a") as caught:
            await bench.deploy()
    assert caught.value.rule == "capability"
    assert bench.chain.lives == {}


async def test_an_estimate_leaves_out_who_lacks_it_or_does_not_say(cli, bench):
    file = wants(bench, "b")
    async with bench.peer().serve() as lacking, has_zone(bench.peer(), "b").serve() as able:
        async with bench.peer().serve() as gone:
            pass
        said = json.loads((await cli("estimate", file, "-o", "json")).stdout)
    assert [offer["provider"] for offer in said["offers"]] == [f"{able.owner}/0"]
    reasons = {out["provider"]: out["reason"] for out in said["left_out"]}
    assert reasons[f"{lacking.owner}/0"] == "no node with zone=b; advertised: zone=a"
    assert "what it offers is not known" in reasons[f"{gone.owner}/0"]


async def test_the_list_says_of_each_provider_what_it_lacks(cli, bench):
    file = wants(bench, "b")
    async with bench.peer().serve() as lacking, bench.peer(trust="open").serve() as opened:
        done = await cli("provider", "list", "--for", file)
        listed = json.loads((await cli("provider", "list", "--for", file, "-o", "json")).stdout)
        plain = json.loads((await cli("provider", "list", "-o", "json")).stdout)
    assert f"{lacking.owner}/0: not for hello: no node with zone=b; advertised: zone=a" in done.stdout
    unfit = {one["name"]: one["unfit"] for one in listed["providers"]}
    assert unfit[f"{lacking.owner}/0"] == "no node with zone=b; advertised: zone=a"
    assert unfit[f"{opened.owner}/0"].startswith("class open")
    assert listed["pod"] == "hello"
    assert not any("unfit" in one for one in plain["providers"])


async def test_inspect_shows_what_a_provider_offers(cli, bench):
    async with has_zone(bench.peer(), "a", "b").serve() as peer:
        done = await cli("provider", "inspect", peer.owner)
        said = json.loads((await cli("provider", "inspect", peer.owner, "-o", "json")).stdout)
    assert done.exit_code == 0, done.output
    lines = dict(line.split("  ", 1) for line in done.stdout.splitlines()[1:])
    shown = {name.strip(): text.strip() for name, text in lines.items()}
    assert shown["label zone"] == "a, b"
    assert shown["largest node"] == "4000m CPU, 8192 MiB, 65536 MiB of disk"
    assert shown["expose"] == "http, tcp, udp, nodePort, loadBalancer"
    assert shown["CSI drivers"] == "none"
    assert said["capabilities"]["node_labels"] == {"zone": ["a", "b"]}
    assert peer.log == ["attest", "attest"]
    assert shown["could serve pods"] == "23 h 53 min of 1 d"
    assert (shown["cold starts"], shown["half within"], shown["nine of ten within"]) == (
        "10",
        "300 ms",
        "800 ms",
    )
    assert shown["figures"].startswith("signed by the provider at 20")
    assert shown["figures"].endswith(", verified; its own word")
    figures = said["service"]["figures"]
    assert (figures["up_seconds"], figures["counted_seconds"]) == (86_000, 86_400)
    assert (said["service"]["old"], said["service"]["error"]) == (False, None)


@pytest.mark.parametrize(
    ("fault", "text"),
    [
        ("forged-figures", "none: what it says of itself is not signed"),
        ("others-figures", "none: its figures are of another provider"),
        ("no-figures", "none: bad kind"),
        ("old-figures", "OLD, a daemon that runs signs every few minutes: signed by the provider at 20"),
    ],
)
async def test_inspect_says_that_figures_are_forged_anothers_missing_or_old(cli, bench, fault, text):
    async with bench.peer(fault).serve() as peer:
        done = await cli("provider", "inspect", peer.owner)
        said = json.loads((await cli("provider", "inspect", peer.owner, "-o", "json")).stdout)["service"]
    assert done.exit_code == 0, done.output
    (line,) = [one for one in done.stdout.splitlines() if one.startswith("figures ")]
    assert text in line
    assert said["old"] is (fault == "old-figures")
    assert (said["figures"] is None) is (said["error"] is not None) is (fault != "old-figures")
