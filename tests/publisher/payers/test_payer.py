# SPDX-License-Identifier: Apache-2.0
"""Who pays: as a flag, the environment and a context name it."""

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.publisher.payers.payer import SafePayer, SignerPayer, find_payer, is_named, parse_payer

ADDRESS = "0x70997970C51812dc3A010C7d01b50e0d17dc79C8"
OTHER = "0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC"


@pytest.mark.parametrize(
    ("text", "payer"),
    [
        (f"{ADDRESS}@/run/clef.ipc", SignerPayer(ADDRESS, "/run/clef.ipc")),
        (f"{ADDRESS}@http://127.0.0.1:8550", SignerPayer(ADDRESS, "http://127.0.0.1:8550")),
        (f"safe:{ADDRESS}", SafePayer(ADDRESS)),
    ],
)
def test_it_reads_as_it_is_written(text, payer):
    assert parse_payer(text, "--payer") == payer
    assert str(payer) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        ADDRESS,
        f"{ADDRESS}@",
        f"{ADDRESS}@clef.ipc",
        f"{ADDRESS}@https://127.0.0.1:1",
        f"{ADDRESS}@http://me:secret@127.0.0.1:1",
        "safe:",
        "safe:0x12",
        "0x12@/run/clef.ipc",
        f"{ADDRESS[:-1]}9@/run/clef.ipc",
        64 * "ab",
    ],
)
def test_what_is_none_is_refused_with_its_place(text):
    with pytest.raises(BadInput) as error:
        parse_payer(text, "--payer")
    assert error.value.where == "--payer"
    assert error.value.hint


@pytest.mark.parametrize("text", ["{}", "0x{}", "safe:{}", "{}@/run/clef.ipc"])
def test_a_private_key_that_was_given_by_mistake_is_not_repeated(text):
    key = 32 * "a7"
    with pytest.raises(BadInput) as error:
        parse_payer(text.format(key), "--payer")
    assert key not in f"{error.value} {error.value.hint}"


def context(folder, payer):
    (folder / "trustedpods").mkdir()
    (folder / "trustedpods" / "config.toml").write_text(
        f'current = "work"\n[contexts.work]\npayer = "{payer}"\n'
    )
    return {"XDG_CONFIG_HOME": str(folder)}


def test_the_flag_goes_before_the_environment_and_that_before_the_context(tmp_path):
    environment = context(tmp_path, f"safe:{ADDRESS}")
    assert find_payer(None, environment) == SafePayer(ADDRESS)
    environment["TRUSTEDPODS_PAYER"] = f"{OTHER}@/x"
    assert find_payer(None, environment) == SignerPayer(OTHER, "/x")
    assert find_payer(f"safe:{OTHER}", environment) == SafePayer(OTHER)


def test_an_empty_text_takes_the_contexts_away(tmp_path):
    assert find_payer("", context(tmp_path, f"safe:{ADDRESS}")) is None


def test_nobody_is_named_by_nobody(tmp_path):
    assert find_payer(None, {"XDG_CONFIG_HOME": str(tmp_path)}) is None
    assert is_named({"XDG_CONFIG_HOME": str(tmp_path)}) is False


@pytest.mark.parametrize(("variable", "named"), [(None, True), ("", False), ("x", True)])
def test_whether_one_is_named_is_known_without_reading_it(tmp_path, variable, named):
    environment = context(tmp_path, "me") | ({} if variable is None else {"TRUSTEDPODS_PAYER": variable})
    assert is_named(environment) is named


def test_a_wrong_one_in_a_context_is_said_with_the_context(tmp_path):
    with pytest.raises(BadInput, match="context 'work'"):
        find_payer(None, context(tmp_path, "me"))
