# SPDX-License-Identifier: Apache-2.0
"""`init IMAGE` and `deploy IMAGE`: from an image without a manifest to a file, and to a pod that runs."""

import json
from pathlib import Path

import pytest
import yaml

from tests.fakes.images.oci_images import ImageFiles
from tests.publisher.test_cli import cli
from trustedpods.publisher.verbs.drafts.draft import STDOUT

__all__ = ["cli"]

ROOT_IMAGE = {"user": "", "ExposedPorts": {"8080/tcp": {}}, "Volumes": {"/data": {}}}


@pytest.fixture
def image(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    ImageFiles(**ROOT_IMAGE).write_archive(bench.folder / "shop.tar")
    return "shop.tar"


async def test_init_writes_what_validate_takes(cli, bench, image):
    done = await cli("init", image, "-f", "sub.yaml", "--secret", "password.txt", "--env", "A=b")
    assert done.exit_code == 0, done.output
    assert done.stdout == "sub.yaml: pod shop; `trustedpods deploy sub.yaml` runs it\n"
    assert "runs as root" in done.stderr
    assert (await cli("validate", "sub.yaml")).exit_code == 0
    (container,) = yaml.safe_load(Path("sub.yaml").read_text())["spec"]["containers"]
    assert container["image"] == "oci-archive:shop.tar"
    assert container["securityContext"] == {"runAsUser": 10001}


async def test_paths_are_written_from_the_manifests_folder(cli, bench, image):
    (bench.folder / "below").mkdir()
    done = await cli("init", image, "-f", "below/pod.yaml", "--secret", "key=password.txt")
    assert done.exit_code == 0, done.output
    tree = yaml.safe_load(Path("below/pod.yaml").read_text())
    assert tree["spec"]["containers"][0]["image"] == "oci-archive:../shop.tar"
    assert {"files": {"key": "../password.txt"}} in [one.get("secret") for one in tree["spec"]["volumes"]]
    assert (await cli("validate", "below/pod.yaml")).exit_code == 0


async def test_a_file_that_is_there_is_kept(cli, bench, image):
    before = Path("pod.yaml").read_text()
    done = await cli("init", image)
    assert (done.exit_code, Path("pod.yaml").read_text()) == (2, before)
    assert "--force" in done.stderr
    assert (await cli("init", image, "--force")).exit_code == 0
    assert Path("pod.yaml").read_text() != before


async def test_it_can_be_printed(cli, bench, image):
    done = await cli("init", image, "-f", STDOUT, "-o", "json")
    said = json.loads(done.stdout)
    assert (said["pod"], said["file"]) == ("shop", None)
    assert yaml.safe_load(said["manifest"])["kind"] == "Pod"
    assert len(said["notes"]) == 2
    assert not Path(STDOUT).exists()


async def test_an_oci_folder_is_an_image_too(cli, bench, image):
    ImageFiles(ExposedPorts={"80/tcp": {}}).write_directory(bench.folder / "tree")
    done = await cli("init", "tree", "-f", STDOUT)
    assert "image: oci:tree" in done.stdout
    assert "name: tree" in done.stdout


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("Nginx:1.27", "nginx:1.27"),
        ("absent.tar", "no such file"),
        ("absent.yaml", "no such file"),
        ("docker-daemon:-v", "not the name of an image"),
        ("pod.yaml", "this is a manifest already"),
        ("source", "no folder with a Dockerfile"),
        ("packed.tar", "not an uncompressed tar archive"),
        ("odd.tar", "--port"),
    ],
)
async def test_what_is_no_image_is_refused_with_the_way_to_one(cli, bench, image, given, said):
    (bench.folder / "source").mkdir()
    (bench.folder / "packed.tar").write_bytes(b"\x1f\x8b" + bytes(600))
    ImageFiles().write_archive(bench.folder / "odd.tar")
    done = await cli("init", given, "-f", "new.yaml")
    assert done.exit_code == 2
    assert said in done.stderr
    assert not Path("new.yaml").exists()


async def test_an_image_is_deployed_without_a_manifest(cli, bench, image):
    async with bench.peer().serve() as peer:
        done = await cli("deploy", image, "--deposit", "1h", "--memory", "64Mi")
        assert done.exit_code == 0, done.output
        assert done.stdout.startswith("http://")
        assert "  kind: Pod\n" in done.stderr
        assert "runs as root" in done.stderr
        said = json.loads((await cli("deploy", image, "--memory", "64Mi", "-o", "json")).stdout)
    assert said["pod"] == "shop"
    (drafted,) = [event for event in said["events"] if event["event"] == "drafted"]
    assert yaml.safe_load(drafted["manifest"])["metadata"] == {"name": "shop"}
    assert "provision" in peer.log
    assert not {path.name for path in bench.folder.glob("*.yaml")} - {"pod.yaml"}


async def test_words_beside_a_manifest_are_refused(cli, bench):
    done = await cli("deploy", bench.folder / "pod.yaml", "--port", "80", "--env", "A=b")
    assert done.exit_code == 2
    assert "--port, --env" in done.stderr


async def test_a_manifest_that_is_not_there_is_missed_as_such(cli, bench):
    done = await cli("deploy", bench.folder / "absent.yaml")
    assert (done.exit_code, "no such file" in done.stderr) == (2, True)
    other = await cli("deploy", "Nginx:1.27")
    assert (other.exit_code, "nginx:1.27" in other.stderr) == (2, True)
