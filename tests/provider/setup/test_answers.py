# SPDX-License-Identifier: Apache-2.0
from fractions import Fraction

import pytest

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.setup.answers import EXAMPLES, SetupAnswers, answered, read_answers, tokens


def test_flags_count_before_a_file(tmp_path):
    file = tmp_path / "answers.toml"
    file.write_text('domain = "a.example"\nregion = "moon"\ncore_hour = "2.5"\n')
    both = answered(domain="b.example", owner=None).over(read_answers(file))
    assert (both.domain, both.region, both.core_hour, both.owner) == ("b.example", "moon", "2.5", None)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("domain", "Example.org"), ("owner", "0x12"), ("core_hour", "2,5"), ("core_hour", "-1"),
        ("gib_hour", "1e3"),
        ("rpc", "rpc.example.org"), ("region", "far away"), ("region", "x" * 13), ("data", "var"),
        ("public_address", "example.org"), ("market", "market.toml"), ("trust", "closed"),
    ],
)  # fmt: skip
def test_an_answer_that_will_not_do_names_its_flag(name, value):
    with pytest.raises(BadInput, match="will not do") as caught:
        answered(**{name: value})
    assert caught.value.where == f"--{name.replace('_', '-')}"
    assert (caught.value.hint is not None) is (name in EXAMPLES)


def test_a_file_with_an_unknown_answer_is_refused(tmp_path):
    file = tmp_path / "answers.toml"
    file.write_text("core_hour = 2.5\n")
    with pytest.raises(BadInput, match="core_hour"):
        read_answers(file)
    file.write_text('core-hour = "2.5"\n')
    with pytest.raises(BadInput, match="core-hour"):
        read_answers(file)
    assert set(EXAMPLES) <= set(SetupAnswers.model_fields)


def test_amounts_are_exact():
    assert tokens("0.000000000000000001", 18) == 1
    assert tokens("2.5", 6) == 2_500_000
    assert tokens("0.3", 0) == Fraction(3, 10)
