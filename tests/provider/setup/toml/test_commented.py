# SPDX-License-Identifier: Apache-2.0
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.provider.test_config import GOOD
from trustedpods.provider.config import ProviderConfig, load_config
from trustedpods.provider.setup.toml import commented as text
from trustedpods.provider.setup.toml.commented import commented, toml_value
from trustedpods.provider.setup.toml.key_comments import COMMENTS, TABLES

OTHER = """
[names]
listen = "10.0.0.5:5354"
address = "10.9.0.11"
upstream = ["192.0.2.53"]

[metrics]

[webhooks]
enabled = false

[ingress.classes."web.example"]
namespace = "ingress"
pod_labels = {"app.kubernetes.io/name" = "traefik"}
annotations = ["traefik.io/x"]
"""


def config_of(text):
    return ProviderConfig.model_validate(tomllib.loads(text))


def test_every_key_of_the_model_has_a_comment_and_no_other_has():
    assert sorted(text.keys()) == sorted(COMMENTS)
    assert list(text.sections()) == list(TABLES)


@pytest.mark.parametrize(
    "text",
    [
        GOOD,
        GOOD + OTHER,
        GOOD.replace("[cluster]\n", '[cluster]\nstorage_classes = {a-b = ["ReadWriteOnce"]}\n'),
    ],
)
def test_what_is_written_is_read_back_equal(text, tmp_path):
    config = config_of(text)
    file = tmp_path / "provider.toml"
    file.write_text(commented(config))
    assert load_config(file) == config
    assert commented(load_config(file)) == commented(config)


def test_every_key_stands_in_the_file_behind_its_comment(tmp_path):
    lines = commented(config_of(GOOD + OTHER)).splitlines()
    for name, comment in COMMENTS.items():
        key = name.partition(".")[2]
        first = comment.split()[0]
        at = [
            n for n, line in enumerate(lines) if line.removeprefix("# ").startswith((f"{key} =", f"[{name}."))
        ]
        assert at, name
        assert any(line.startswith(f"# {first}") for line in lines), name
    assert max(map(len, lines)) <= 125


def test_defaults_can_be_read_and_are_not_set():
    text = commented(config_of(GOOD))
    assert "# slots = 256\n" in text
    assert "\nslots" not in text
    assert "# [names]" in text
    assert "# owner_key_file =\n" in text
    assert "kind" not in tomllib.loads(text)["prices"]


@given(
    st.recursive(
        st.booleans() | st.integers(-(2**60), 2**60) | st.text(st.characters(codec="utf-8")),
        lambda inner: st.lists(inner) | st.dictionaries(st.text('abc.-" ', max_size=4), inner),
        max_leaves=8,
    )
)
def test_values_mean_the_same_to_who_reads_toml(value):
    assert tomllib.loads(f"v = {toml_value(value)}")["v"] == value
