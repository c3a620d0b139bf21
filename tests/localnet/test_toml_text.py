# SPDX-License-Identifier: Apache-2.0
"""What we write as TOML is read back as it was."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.toml_text import toml_text

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
values = st.one_of(words, st.integers(-(2**62), 2**62), st.booleans(), st.lists(words, max_size=3))
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
tables = st.dictionaries(names, values, max_size=4)


@given(tables, st.dictionaries(names, tables, max_size=3))
def test_tables_come_back(plain: dict[str, object], inner: dict[str, dict[str, object]]) -> None:
    whole = {**plain, **inner}
    assert tomllib.loads(toml_text(whole)) == whole


def test_certificates_keep_their_lines() -> None:
    text = "-----BEGIN-----\nabc=\n-----END-----\n"
    assert tomllib.loads(toml_text({"simulated": {"root": text}})) == {"simulated": {"root": text}}
