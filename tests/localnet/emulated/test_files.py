# SPDX-License-Identifier: Apache-2.0
"""What an emulated machine is told is what its supervisor takes, and its owner's settings are of the same."""

import itertools
import json
import sys
import tomllib
from pathlib import Path

import pytest

from tests.guest.image_files import firmware, kernel
from trustedpods.contracts.records import Market
from trustedpods.localnet.emulated import boot_files, files
from trustedpods.localnet.guest.configuration import MAX_BYTES, GuestConfiguration
from trustedpods.localnet.settings import ClusterSettings, Ports, Settings
from trustedpods.localnet.up import up
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.ids import Address
from trustedpods.provider.config import ProviderConfig

OWNER = Address("0x52908400098527886E0F7030069857D2E4169EE7")
KEY = "0x" + "5e" * 32
PORTS = Ports(chain=18101, http=18102, registry=18103, metrics=18104, peer=18105, https=18106)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    one = ClusterSettings(index=1, ports=PORTS)
    return Settings(name="m", state=tmp_path / "m", octet=0, clusters=(one,), guest=image(tmp_path))


def image(folder: Path) -> Path:
    """A folder as `make guest` writes it, of files that can be measured and not started."""
    made = {"vmlinuz": kernel(), "initrd.img": b"initrd" * 99, "root.img": b"x", "OVMF.snp.fd": firmware()}
    for name, content in made.items():
        (folder / name).write_bytes(content)
    (folder / "cmdline").write_text("rdinit=/init trustedpods.root=0:0:1")
    return folder


def text(settings: Settings) -> bytes:
    (cluster,) = settings.all_clusters()
    market = Market(chain_id=settings.chain_id, payments=OWNER, registry=OWNER, token=OWNER)
    return files.disk_text(files.configuration(settings, cluster, market, OWNER, KEY))


def test_its_supervisor_takes_what_the_disk_says(settings: Settings) -> None:
    said = text(settings)
    assert len(said) <= MAX_BYTES
    found = GuestConfiguration.model_validate_json(said)
    assert (found.operator.trust, found.operator.tee) == ("sealed", "simulated:10.0.2.100:4050")
    assert found.operator.announce == ("/ip4/127.0.0.1/tcp/18105",)
    assert found.operator.url_suffix == ":18102"
    assert found.market.rpc == "http://10.0.2.2:18101"
    assert found.terms.idle_after_s == settings.knobs.idle_after_s


def test_the_owners_settings_are_the_daemons_with_keys_and_a_chain_of_here(settings: Settings) -> None:
    made = files.owners_toml(settings, text(settings), Path("/owner.key"), Path("/operator.key"))
    found = ProviderConfig.model_validate(tomllib.loads(made))
    assert (found.identity.owner_key_file, found.identity.operator_key_file) == (
        "/owner.key",
        "/operator.key",
    )
    assert found.market.rpc == "http://127.0.0.1:18101"
    assert KEY not in made
    said = json.loads(text(settings))
    assert found.prices.model_dump(mode="json") == said["prices"]
    assert found.terms.model_dump().items() >= said["terms"].items()


def test_the_machine_is_the_images_with_both_disks_and_three_ports(settings: Settings) -> None:
    (cluster,) = settings.all_clusters()
    words = files.machine_words(settings, cluster)
    assert words[0] == "qemu-system-x86_64"
    (net,) = [word for word in words if word.startswith("user,")]
    led = [part for part in net.split(",") if part.startswith("hostfwd=")]
    assert led == [
        f"hostfwd=tcp:127.0.0.1:{host}-:{guest}" for host, guest in ((18102, 80), (18106, 443), (18105, 4001))
    ]
    serials = [word for word in words if "serial=trustedpods-" in word]
    assert [word.split("serial=")[1].split(",")[0] for word in serials] == [
        "trustedpods-root",
        "trustedpods-config",
        "trustedpods-data",
    ]


def test_it_boots_what_was_measured_and_asks_a_program_of_its_own_for_evidence(settings: Settings) -> None:
    (cluster,) = settings.all_clusters()
    words = files.machine_words(settings, cluster)
    boot = files.boot_folder(cluster)
    after = dict(itertools.pairwise(words))
    assert (after["-kernel"], after["-initrd"]) == (str(boot / "vmlinuz"), str(boot / "initrd.img"))
    assert (boot / "cmdline").read_text() == after["-append"]
    (net,) = [word for word in words if word.startswith("user,")]
    measured = boot_files.measurement(boot).hex()
    signer = f"{sys.executable} -m trustedpods.localnet.emulated.signer {settings.state} {measured}"
    assert net.endswith(f",guestfwd=tcp:10.0.2.100:4050-cmd:{signer}")


def test_nothing_of_it_needs_root_or_a_network_of_its_own(settings: Settings) -> None:
    (cluster,) = settings.all_clusters()
    assert (cluster.embedded, cluster.namespace, settings.gateway) == (False, None, "127.0.0.1")


@pytest.mark.parametrize(
    "more",
    [{"clusters": 2}, {"nodes": 2}, {"kubeconfig": Path("/nowhere")}],
    ids=["clusters", "nodes", "own"],
)
def test_one_machine_has_one_node_and_its_own_cluster(settings: Settings, more: dict[str, object]) -> None:
    with pytest.raises(BadInput, match="--guest"):
        up("emulated-test", guest=settings.guest, **more)


def test_a_folder_without_an_image_is_said_with_what_makes_one(tmp_path: Path) -> None:
    with pytest.raises(BadInput) as caught:
        up("emulated-test", guest=tmp_path)
    assert caught.value.where == str(tmp_path)
    assert "make guest" in (caught.value.hint or "")
