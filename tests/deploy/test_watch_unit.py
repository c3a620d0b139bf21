# SPDX-License-Identifier: Apache-2.0
"""The timer of `trustedpods watch` starts a command that exists, with flags that it knows."""

import configparser
import shlex

import click

from tests.paths import ROOT
from trustedpods.publisher.cli import main

UNITS = ROOT / "deploy" / "systemd"


def unit(kind):
    parser = configparser.ConfigParser(strict=True, interpolation=None)
    parser.optionxform = str
    parser.read(UNITS / f"trustedpods-watch.{kind}")
    return parser


def words_of(line):
    env, command, verb, *flags = shlex.split(line)
    assert (env, command) == ("/usr/bin/env", "trustedpods")
    return verb, flags


def context_of(verb, flags):
    """What click makes of the words; a verb is imported when it is asked for."""
    return main.get_command(click.Context(main), verb).make_context(verb, flags)


def test_the_service_runs_one_round():
    verb, flags = words_of(unit("service")["Service"]["ExecStart"])
    context = context_of(verb, flags)
    assert context.params["once"] is True


def test_the_flags_that_it_proposes_exist():
    text = (UNITS / "trustedpods-watch.service").read_text()
    (line,) = [line for line in text.splitlines() if line.startswith("#   ExecStart=/")]
    verb, flags = words_of(line.removeprefix("#   ExecStart="))
    assert context_of(verb, flags).params["max_per_day"] == "2.5"


def test_the_timer_starts_the_service_again_and_again():
    timer = unit("timer")["Timer"]
    assert timer["OnUnitInactiveSec"] == "5min"
    assert "OnStartupSec" in timer
