# SPDX-License-Identifier: Apache-2.0
"""What we write as TOML is read back as it was."""

import tomllib

from hypothesis import given
from hypothesis import strategies as st

from trustedpods.localnet.toml_text import toml_text

words = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), max_size=20)
names = st.from_regex(r"[a-z_]{1,10}", fullmatch=True)
lists = st.lists(words, max_size=3)
values = st.one_of(words, st.integers(-(2**62), 2**62), st.booleans(), lists)
tables = st.dictionaries(names, values, max_size=4)
inner_tables = st.dictionaries(names, values | st.dictionaries(words, lists, max_size=2), max_size=3)


@given(tables, st.dictionaries(names, inner_tables, max_size=3))
def test_tables_come_back(plain: dict[str, object], inner: dict[str, dict[str, object]]) -> None:
    whole = {**plain, **inner}
    assert tomllib.loads(toml_text(whole)) == whole


def test_certificates_keep_their_lines() -> None:
    text = "-----BEGIN-----\nabc=\n-----END-----\n"
    assert tomllib.loads(toml_text({"simulated": {"root": text}})) == {"simulated": {"root": text}}
