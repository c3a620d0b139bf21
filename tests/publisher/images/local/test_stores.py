# SPDX-License-Identifier: Apache-2.0
"""An image of a store is saved by its own program, once; what fails is one line and no file."""

import pytest

from tests.fakes.images.oci_images import ImageFiles, digest
from tests.fakes.images.programs import put_program
from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.images.local.stores import KEPT_ARCHIVES
from trustedpods.publisher.images.source import lasting, open_image


@pytest.fixture
def here(tmp_path, monkeypatch):
    """A machine with no program but those that a test puts there."""
    (tmp_path / "bin").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    return tmp_path


def opened(here, reference):
    return open_image(reference, here, here / "cache")


def saved(here):
    return sorted((here / "cache" / "saved").glob("*"))


@pytest.mark.parametrize(
    ("kind", "program", "call"),
    [
        ("docker-daemon", "docker", "save --output"),
        ("podman", "podman", "save --quiet --format oci-archive --output"),
        ("containers-storage", "podman", "save --quiet --format oci-archive --output"),
        ("containerd", "nerdctl", "save --output"),
        ("containerd", "ctr", "image export --platform linux/amd64"),
    ],
)
def test_its_program_writes_an_archive_once(here, kind, program, call):
    files = ImageFiles()
    log = put_program(here / "bin", program, files.write_archive(here / "a.tar"))
    image = opened(here, f"{kind}:app")
    assert image.digest == digest(files.manifest)
    (archive,) = saved(here)
    assert lasting(f"{kind}:app", here, image) == f"oci-archive:{archive}"
    assert opened(here, f"{kind}:app").digest == image.digest
    calls = [line for line in log.read_text().splitlines() if call in line]
    assert len(calls) == (2 if program == "ctr" else 1)  # ctr tells no id of an image


def test_another_image_of_the_name_is_saved_anew_and_the_last_few_stay(here):
    for number in range(5):
        files = ImageFiles(layers=(b"%d" % number,))
        archive = files.write_archive(here / "a.tar")
        put_program(here / "bin", "docker", archive, inspect=f"echo sha256:{number:064x}")
        assert opened(here, "docker-daemon:app").digest == digest(files.manifest)
    assert len(saved(here)) == KEPT_ARCHIVES


def test_a_program_that_is_not_there_is_named(here):
    for kind, program in [
        ("docker-daemon", "docker"),
        ("podman", "podman"),
        ("containerd", "nerdctl or ctr"),
    ]:
        with pytest.raises(BadInput, match=f"is asked of {program}, which is not on PATH") as caught:
            opened(here, f"{kind}:app")
        assert "oci-archive:FILE" in caught.value.hint


def test_what_a_program_says_last_is_told(here):
    archive = ImageFiles().write_archive(here / "a.tar")
    put_program(here / "bin", "docker", archive, inspect="echo one >&2; echo No such image: app >&2; exit 1")
    with pytest.raises(BadInput, match=r"^docker: No such image: app$"):
        opened(here, "docker-daemon:app")


def test_a_save_that_fails_leaves_nothing(here):
    archive = ImageFiles().write_archive(here / "a.tar")
    put_program(here / "bin", "docker", archive, save="echo half > $3; echo disk full >&2; exit 1")
    with pytest.raises(BadInput, match="docker: disk full"):
        opened(here, "docker-daemon:app")
    assert saved(here) == []


@pytest.mark.parametrize("name", ["-v", "--help", "a b", "App", "../x", "a;b"])
def test_a_name_is_no_option_and_no_path(here, name):
    put_program(here / "bin", "docker", here / "none")
    with pytest.raises(BadInput, match="not the name of an image"):
        opened(here, f"docker-daemon:{name}")


def test_an_id_is_a_name_too(here):
    put_program(here / "bin", "docker", ImageFiles().write_archive(here / "a.tar"))
    assert opened(here, "docker-daemon:0123456789ab").config.user == "10001"
