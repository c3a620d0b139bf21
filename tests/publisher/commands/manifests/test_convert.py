# SPDX-License-Identifier: Apache-2.0
"""`convert` and `init` of a Compose file: from there to a pod that runs."""

import json
from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles
from tests.paths import ROOT
from tests.publisher.test_cli import cli
from trustedpods.publisher.verbs.drafts import converted

__all__ = ["cli"]

COMPOSE = ROOT / "tests/manifests/convert/compose"


@pytest.fixture
def folder(bench, monkeypatch):
    monkeypatch.chdir(bench.folder)
    Path("pod.yaml").unlink()
    text = (COMPOSE / "web.yaml").read_text().replace("nginx:1.27", "oci-archive:web.tar")
    Path("compose.yaml").write_text(text)
    ImageFiles().write_archive(bench.folder / "web.tar")
    return bench.folder


@pytest.mark.parametrize("verb", ["convert", "init"])
async def test_a_compose_file_becomes_a_pod_that_runs(cli, bench, folder, verb):
    done = await cli(verb, "compose.yaml", "--name", "web")
    assert done.exit_code == 0, done.output
    assert done.stdout == "pod.yaml: pod web; `trustedpods deploy pod.yaml` runs it\n"
    assert (await cli("validate", "pod.yaml")).exit_code == 0
    async with bench.peer().serve():
        assert (await cli("deploy", "pod.yaml")).exit_code == 0


async def test_each_field_that_is_refused_has_a_line_of_its_own(cli, folder):
    done = await cli("convert", COMPOSE / "powers.yaml", "-f", "-")
    assert done.exit_code == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 11
    assert all("powers.yaml:" in line for line in lines)
    assert not (COMPOSE / "pod.yaml").exists()


async def test_json_and_a_file_that_is_there(cli, folder):
    said = json.loads((await cli("convert", "compose.yaml", "-f", "-", "-o", "json")).stdout)
    assert (said["pod"], said["file"]) == (folder.name.lower().replace("_", "-")[:63], None)
    assert said["notes"]
    Path("pod.yaml").write_text("mine")
    assert (await cli("convert", "compose.yaml")).exit_code == 2
    assert Path("pod.yaml").read_text() == "mine"
    assert (await cli("convert", "compose.yaml", "--force")).exit_code == 0


async def test_a_manifest_stays_beside_the_files_that_it_names(cli, folder):
    (folder / "below").mkdir()
    done = await cli("convert", "compose.yaml", "-f", "below/pod.yaml")
    assert done.exit_code == 2
    assert "from its own folder" in done.stderr


async def test_words_for_an_image_are_refused(cli, folder):
    done = await cli("init", "compose.yaml", "--port", "80")
    assert done.exit_code == 2
    assert "--port" in done.stderr


async def test_what_no_manifest_takes_is_refused_with_the_source(cli, folder):
    Path("compose.yaml").write_text("services: {web: {image: x, working_dir: relative}}")
    done = await cli("convert", "compose.yaml")
    assert done.exit_code == 2
    assert "compose.yaml: it becomes a manifest that is refused" in done.stderr
    assert "workingDir" in done.stderr


async def test_a_manifest_with_values_of_a_file_of_variables_is_its_owners_alone(cli, folder):
    Path("app.env").write_text("TOKEN=abc")
    Path("compose.yaml").write_text("services: {web: {image: x, env_file: app.env}}")
    Path("pod.yaml").write_text("mine")
    assert (await cli("convert", "compose.yaml", "--force")).exit_code == 0
    assert "abc" in Path("pod.yaml").read_text()
    assert Path("pod.yaml").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("times", [3, 20])
async def test_a_manifest_that_nothing_would_read_is_not_written(cli, folder, times):
    Path("compose.yaml").write_text(
        f"x-long: &long {'x' * 50_000}\n"
        f"services: {{web: {{image: x, command: [{', '.join(['*long'] * times)}]}}}}"
    )
    done = await cli("convert", "compose.yaml")
    assert done.exit_code == 2
    assert "more than" in done.stderr
    assert not Path("pod.yaml").exists()


async def test_a_manifest_that_is_far_too_long_is_not_even_written_out(cli, folder, monkeypatch):
    monkeypatch.setattr(converted, "written", None)
    Path("compose.yaml").write_text(
        f"x-long: &long '{chr(233) * 50_000}'\n"
        "services: {web: {image: x, environment: {A: *long, B: *long, C: *long}}}"
    )
    done = await cli("convert", "compose.yaml")
    assert "more than 128 KiB" in done.stderr
