# SPDX-License-Identifier: Apache-2.0
"""A folder with a Dockerfile is built by the first builder there is, or the one that is wanted."""

from pathlib import Path

import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from tests.fakes.images.programs import put_program
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.local.dockerfile import BUILDERS
from trustedpods.publisher.images.opening import ImageOpening
from trustedpods.publisher.images.source import image_reference, lasting, moved, open_image


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A machine with no builder but those that a test puts there, and a folder to build."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "web").mkdir()
    (tmp_path / "web/Dockerfile").write_text("FROM scratch\n")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def put(here):
    """Puts a builder on PATH; returns the file of its calls."""
    archive = ImageFiles().write_archive(here / "a.tar")
    return lambda name, **more: put_program(here / "bin", name, archive, **more)


def opened(here, **opening):
    return open_image("dockerfile:web", here, here / "cache", ImageOpening(**opening))


@pytest.mark.parametrize("name", BUILDERS)
def test_each_builder_builds_for_our_platform_and_saves(here, put, name):
    log = put(name)
    image = opened(here)
    assert image.digest == digest(ImageFiles().manifest)
    build, save = log.read_text().splitlines()
    assert f"{name} build " in build
    assert "--platform linux/amd64" in build
    assert build.endswith(f"--file {here}/web/Dockerfile {here}/web")
    assert build.partition("--tag ")[2].split()[0] in save
    assert lasting("dockerfile:web", here, image).startswith(f"oci-archive:{here}/cache/saved/")


def test_each_build_keeps_an_archive_of_its_own(here, put):
    """A rollback reads the one before; other folders' builds take none away."""
    put("podman")
    first = opened(here)
    ImageFiles(user="7").write_archive(here / "a.tar")
    second = opened(here)
    for number in range(4):
        (here / f"other{number}").mkdir()
        (here / f"other{number}" / "Dockerfile").write_text("FROM scratch\n")
        open_image(f"dockerfile:other{number}", here, here / "cache", ImageOpening())
    names = [lasting("dockerfile:web", here, one) for one in (first, second)]
    again = [open_image(name, here, here / "cache", ImageOpening()).digest for name in names]
    assert again == [first.digest, second.digest]
    assert first.digest != second.digest


def test_a_folders_name_is_no_option_of_a_builder(here, put, monkeypatch):
    log = put("podman")
    (here / "--volume=x").mkdir()
    (here / "--volume=x" / "Dockerfile").write_text("FROM scratch\n")
    open_image("dockerfile:--volume=x", Path(), here / "cache", ImageOpening())
    assert " --volume" not in log.read_text()


def test_the_first_that_is_there_builds_or_the_one_that_is_wanted(here, put):
    log = put("docker")
    put("podman")
    opened(here)
    opened(here, builder="docker")
    programs = [line.split()[0].rpartition("/")[2] for line in log.read_text().splitlines()]
    assert programs == ["podman", "podman", "docker", "docker"]
    with pytest.raises(BadInput, match="buildah is not on PATH"):
        opened(here, builder="buildah")


def test_without_a_builder_it_says_which_there_are(here):
    with pytest.raises(BadInput, match="none of buildah, podman and docker is on PATH") as caught:
        opened(here)
    assert "docker save" in caught.value.hint
    assert caught.value.where.endswith("web/Dockerfile")


def test_a_build_that_fails_ends_with_the_builders_words(here, put):
    put("podman", build="echo step 1; echo 'COPY failed: no such file' >&2; exit 125")
    with pytest.raises(BadInput, match="podman: COPY failed: no such file") as caught:
        opened(here)
    assert "podman build" in caught.value.hint
    assert not (here / "cache").exists()


def test_nothing_is_built_where_nobody_may_be_asked(here, put):
    put("podman")
    with pytest.raises(BadInput, match="nobody may be asked"):
        opened(here, offline=True)


def test_a_folder_without_a_dockerfile(here, put):
    put("podman")
    (here / "web/Dockerfile").rename(here / "web/Other")
    with pytest.raises(BadInput, match="no Dockerfile"):
        opened(here)


@pytest.mark.parametrize("name", ["Dockerfile", "Containerfile"])
def test_what_a_person_types_becomes_what_a_manifest_says(here, name):
    (here / "web/Dockerfile").rename(here / "web" / name)
    assert image_reference("web") == image_reference("./web").replace("./", "") == "dockerfile:web"
    assert moved("dockerfile:web", here / "below") == "dockerfile:../web"
