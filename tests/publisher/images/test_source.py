# SPDX-License-Identifier: Apache-2.0
"""Every archive is read as the image that its name says, or refused in words that help."""

from pathlib import Path

import pytest

from tests.fakes.images import capability_cases, image_cases
from tests.fakes.images.image_cases import bytes_of, names_in
from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.runnable import program_line
from trustedpods.publisher.images.contents import check_start, layer_facts
from trustedpods.publisher.images.programs import check_program
from trustedpods.publisher.images.source import absolute, open_image

CASES = image_cases.CASES | capability_cases.CASES


def read(case, folder, name=None):
    """As `validate` does: opened, its layers read, asked whether it starts."""
    (folder / "a.tar").write_bytes(bytes_of(case))
    image = open_image(f"{case.kind}:a.tar{case.name if name is None else name}", folder, folder / "cache")
    check_start(image, layer_facts(image, folder / "cache"), (), (), "pod.yaml")
    check_program(image, program_line(image.config, (), ()), (), folder / "cache", "pod.yaml")
    return image


@pytest.mark.parametrize("name", CASES)
def test_every_archive(tmp_path, name):
    case = CASES[name]
    if case.refused is None:
        assert f"WHICH={case.expected}" in read(case, tmp_path).config.env
        return
    with pytest.raises(BadInput) as caught:
        read(case, tmp_path)
    assert case.refused in str(caught.value)
    assert caught.value.where


@pytest.mark.parametrize(
    ("known", "lying"), [("one image", "plain that is gzip"), ("plain", "gzip that is plain")]
)
def test_what_is_remembered_of_a_layer_holds_for_its_type_only(tmp_path, known, lying):
    read(CASES[known], tmp_path)
    with pytest.raises(BadInput):
        read(CASES[lying], tmp_path)


@pytest.mark.parametrize(
    "name", [name for name, case in CASES.items() if "there is: " in (case.refused or "")]
)
def test_every_name_in_a_list_works_when_typed(tmp_path, name):
    case = CASES[name]
    if "linux" in (case.refused or ""):
        return
    with pytest.raises(BadInput) as caught:
        read(case, tmp_path)
    offered = list(names_in(caught.value.what))
    assert len({read(case, tmp_path, f":{one}").digest for one in offered}) == len(offered) == 2


def test_a_path_may_have_colons(tmp_path):
    (tmp_path / "a:1.tar").write_bytes(bytes_of(CASES["two tags"]))
    found = open_image("oci-archive:a:1.tar:1.0", tmp_path, tmp_path)
    assert found.config.env == ("WHICH=one",)
    with pytest.raises(BadInput, match="no such file"):
        open_image("oci-archive:b:1.tar", tmp_path, tmp_path)


@pytest.mark.parametrize("base", [".", "/"])
def test_a_whole_reference_opens_from_anywhere(tmp_path, monkeypatch, base):
    (tmp_path / "a:1.tar").write_bytes(bytes_of(CASES["two tags"]))
    monkeypatch.chdir(tmp_path)
    whole = absolute("oci-archive:a:1.tar:1.0", Path())
    assert absolute(whole, Path(base)) == whole == f"oci-archive:{tmp_path}/a:1.tar:1.0"
    monkeypatch.chdir("/")
    assert open_image(whole, Path(base), tmp_path).config.env == ("WHICH=one",)
