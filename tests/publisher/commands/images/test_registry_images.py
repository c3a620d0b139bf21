# SPDX-License-Identifier: Apache-2.0
"""A pod whose image is a name in a registry: what is sent, pinned, and said when it fails."""

import json
import re

import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from tests.fakes.images.registry import FakeRegistry, serving
from tests.publisher.test_cli import cli

__all__ = ["cli"]


@pytest.fixture
def registry(bench, monkeypatch):
    """A registry with one image, which pod.yaml names by its tag."""
    monkeypatch.setenv("DOCKER_CONFIG", str(bench.folder / "docker"))
    with serving(FakeRegistry(asks_for="bearer")) as served:
        served.put(ImageFiles(layers=(b"first",)))
        file = bench.folder / "pod.yaml"
        named = re.sub(r"image: \S+", f"image: {served.host}/team/app:1", file.read_text())
        file.write_text(named)
        yield served


async def printed(cli, *words):
    done = await cli(*words, "-o", "json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


async def test_what_a_tag_means_is_sent_signed_and_told(cli, bench, registry):
    file = bench.folder / "pod.yaml"
    async with bench.peer().serve():
        done = await cli("deploy", file)
        assert done.exit_code == 0, done.output
        wanted = registry.tags["1"][0]
        assert f"{registry.host}/team/app:1 is {registry.host}/team/app@{wanted}" in done.stderr
        second = ImageFiles(layers=(b"second",))
        registry.put(second)
        plan = await cli("deploy", file, "--dry-run")
        assert plan.exit_code == 10
        said = await printed(cli, "deploy", file, "--yes")
    assert set(said["images"].values()) == {digest(second.manifest)}


async def test_an_image_of_a_registry_needs_no_manifest(cli, bench, registry, monkeypatch):
    monkeypatch.chdir(bench.folder)
    done = await cli("init", f"{registry.host}/team/app:1", "--port", "8080", "-f", "-")
    assert done.exit_code == 0, done.output
    assert f"image: {registry.host}/team/app:1" in done.stdout
    assert "name: app\n" in done.stdout
    async with bench.peer().serve():
        given = f"docker://{registry.host}/team/app:1"
        said = await printed(cli, "deploy", given, "--port", "8080", "--memory", "64Mi")
    assert said["pod"] == "app"


async def test_validate_may_be_told_to_ask_nobody(cli, bench, registry):
    file = bench.folder / "pod.yaml"
    done = await cli("validate", file, "--offline")
    assert done.exit_code == 2
    assert f"{file}:" in done.stderr
    assert f"without --offline it is fetched from {registry.host}" in done.stderr
    assert not registry.seen
    assert (await cli("validate", file)).exit_code == 0
    asked = len(registry.seen)
    assert (await cli("validate", file, "--offline")).exit_code == 0
    assert len(registry.seen) == asked


@pytest.mark.parametrize(
    ("break_it", "code", "said"),
    [
        (lambda one: one.tags.clear(), 2, "no such image"),
        (lambda one: setattr(one, "user", "alice:secret"), 2, "docker login"),
        (lambda one: one.statuses.append((429, {"retry-after": "900"})), 8, "(429)"),
        (lambda one: one.statuses.append((418, {})), 8, "answered 418"),
    ],
)
async def test_a_registry_that_refuses_is_one_line_with_its_place(cli, bench, registry, break_it, code, said):
    break_it(registry)
    for verb in ("validate", "deploy"):
        statuses = list(registry.statuses)
        done = await cli(verb, bench.folder / "pod.yaml")
        registry.statuses = statuses
        assert done.exit_code == code, done.stderr
        assert said in done.stderr
        assert f"{bench.folder}/pod.yaml:" in done.stderr
        assert "Traceback" not in done.stderr
