# SPDX-License-Identifier: Apache-2.0
"""Every rule that the code names is in one list, with what to do; the list has no other; the page is it."""

import pytest

from tests.protocol.rules.page import GROUPS, PAGE, page
from tests.protocol.rules.raised import exit_code, rules_raised
from trustedpods.contracts.client.errors import _FUNDS, _MEANINGS
from trustedpods.protocol.attestation.checks import Check
from trustedpods.protocol.rules.all_rules import RULES, rule_named


def test_every_rule_of_the_code_is_in_the_list():
    others = {check.value for check in Check} | set(_FUNDS) | set(_MEANINGS)
    assert [name for name in rules_raised() if name not in others and rule_named(name) is None] == []


def test_the_list_has_no_other_and_none_twice():
    assert sorted(set(RULES) - set(rules_raised())) == []
    assert sum(map(len, GROUPS.values())) == len(RULES)


def test_every_rule_is_an_errors():
    assert [name for name in RULES if not rules_raised()[name]] == []


@pytest.mark.parametrize("name", RULES)
def test_a_rule_says_what_and_what_to_do_in_one_line(name):
    rule = RULES[name]
    for text in (rule.meaning, rule.advice):
        assert 10 < len(text) < 200
        assert not text.endswith(".")
        assert "\n" not in text
        assert "|" not in text


def test_the_page_is_drawn_from_it():
    assert PAGE.read_text() == page()


def test_a_pattern_stands_for_all_that_begin_so():
    assert rule_named("capacity-cpu") is RULES["capacity-*"]
    assert rule_named("capacity-node") is RULES["capacity-node"]
    assert rule_named("CrashLoopBackOff") is None
    assert rule_named("no-such-rule-at-all") is None


def test_an_error_that_derives_from_ours_has_its_code():
    assert (exit_code("Refused"), exit_code("StoreFailure"), exit_code("print")) == (6, 11, None)
