# SPDX-License-Identifier: Apache-2.0
"""Variables of a Compose file: where they come from, which goes first, and what is said of the others."""

import pytest

from trustedpods.manifests.convert.file import convert
from trustedpods.protocol.errors import BadInput

FILE = "services: {web: {image: 'x:${TAG}', %s}}"


@pytest.fixture
def made(tmp_path):
    """A conversion in a folder: of a service with a field, as a function."""

    def convert_it(field="environment: {}", **arguments):
        path = tmp_path / "shop.yaml"
        path.write_text(FILE % field)
        return convert(path, **arguments)

    return convert_it


def image_of(converted):
    return converted.tree["spec"]["containers"][0]["image"]


def env_of(converted):
    return {one["name"]: one["value"] for one in converted.tree["spec"]["containers"][0].get("env", [])}


def test_the_shell_then_named_files_then_the_file_beside(made, tmp_path):
    with pytest.raises(BadInput):
        made()
    (tmp_path / ".env").write_text("TAG=beside")
    assert image_of(made()) == "x:beside"
    outside = tmp_path / "other"
    outside.mkdir()
    first, second = outside / "a.env", outside / "b.env"
    first.write_text("TAG=first\nONLY=1")
    second.write_text("TAG=second")
    assert image_of(made(env_files=(first,))) == "x:first"
    assert image_of(made(env_files=(first, second))) == "x:second"
    assert image_of(made(env_files=(first,), shell={"TAG": "shell"})) == "x:shell"


def test_all_that_is_not_set_is_named(made):
    with pytest.raises(BadInput) as caught:
        made("command: '$ONE ${TWO} ${THREE:-3}'")
    assert len(str(caught.value).splitlines()) == 3
    assert caught.value.hint.startswith("not set: TAG, ONE, TWO; set them in the shell, in `.env`")


def test_a_demand_that_is_not_met_is_told_in_its_words(made):
    with pytest.raises(BadInput, match=r"services.web.command: \$KEY is not set: say which key"):
        made("command: '${KEY:?say which key}'", shell={"TAG": "1"})


def test_what_comes_of_elsewhere_makes_the_manifest_private_and_is_told(made):
    converted = made("environment: [A, NONE, 'B=$$']", shell={"TAG": "1", "A": "a", "NEVER": "x"})
    assert env_of(converted) == {"A": "a", "B": "$"}
    assert converted.private
    assert "from the shell, written into the manifest: TAG, A" in converted.notes
    assert "$NONE is not set, so it is not in the pod" in converted.notes


def test_a_file_of_variables_in_its_long_form(made, tmp_path):
    (tmp_path / "app.env").write_text("A=\"$TAG\"\nB='$TAG'")
    long = "env_file: [{path: app.env, %s}]"
    shell = {"TAG": "1"}
    assert env_of(made(long % "required: false", shell=shell)) == {"A": "1", "B": "$TAG"}
    assert env_of(made(long % "format: raw", shell=shell)) == {"A": '"$TAG"', "B": "'$TAG'"}
    for field in ("format: json", "nonsense: 1"):
        with pytest.raises(BadInput, match=r"env_file\[0\]"):
            made(long % field, shell=shell)


def test_a_file_of_variables_that_is_not_there(made):
    missing = "env_file: [{path: none.env, required: %s}]"
    shell = {"TAG": "1", "NEEDED": "no"}
    assert (
        "there is no file none.env here, and it is not required" in made(missing % "false", shell=shell).notes
    )
    assert made(missing % "'${NEEDED}'", shell=shell)
    with pytest.raises(BadInput, match="`required: false` does without it"):
        made(missing % "true", shell=shell)


def test_a_wrong_file_is_told_with_its_line(made, tmp_path):
    (tmp_path / "app.env").write_text("A=1\n=2")
    with pytest.raises(BadInput, match=r"services.web.env_file: app.env:2: not a variable"):
        made("env_file: app.env", shell={"TAG": "1"})
    (tmp_path / ".env").write_text("A=1\n\n=2")
    with pytest.raises(BadInput) as caught:
        made()
    assert caught.value.where == ".env:3"


def test_a_file_of_the_project_that_leads_out_is_not_read(made, tmp_path, tmp_path_factory):
    other = tmp_path_factory.mktemp("other") / "secret"
    other.write_text("TAG=1")
    (tmp_path / ".env").symlink_to(other)
    with pytest.raises(BadInput, match="outside the folder"):
        made()


def test_a_named_file_is_bounded_and_must_be_there(made, tmp_path):
    with pytest.raises(BadInput, match="cannot read it"):
        made(env_files=(tmp_path / "none.env",))
    (tmp_path / "long.env").write_text("A=" + "x" * 70_000)
    with pytest.raises(BadInput, match="larger than 64 KiB"):
        made(env_files=(tmp_path / "long.env",))


def test_a_file_that_uses_what_is_not_set(made, tmp_path):
    (tmp_path / ".env").write_text("TAG=1$X")
    converted = made()
    assert image_of(converted) == "x:1"
    assert ".env uses $X, which is not set: it is nothing there" in converted.notes
