# SPDX-License-Identifier: Apache-2.0
"""`schema`: what a verb's `-o json` prints, as a JSON schema."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.publisher.output.json_of import JsonObject


def complete_verb(_: click.Context, __: click.Parameter, word: str) -> list[str]:
    """Verbs that have one, for a shell."""
    from trustedpods.publisher.output.answers.published import PUBLISHED

    return [verb for verb in PUBLISHED if verb.startswith(word)]


@click.command(
    epilog="""\b
Examples:
  trustedpods schema
  trustedpods schema status > status.schema.json
  trustedpods schema provider list
  trustedpods schema error
  trustedpods schema log line
"""
)
@click.argument("verb", nargs=-1, shell_complete=complete_verb)
@common
def schema(options: Common, verb: tuple[str, ...]) -> None:
    """The JSON schema (2020-12) of what VERB prints with -o json, done or failed.

    `error` is what any verb prints that failed, `log line` each line of `logs -f`. Without VERB the verbs
    that have one, and how it is called: each of their objects says so in `schema`. Within a version fields
    may come, and none goes.
    """
    run = Run(options)

    def work() -> "JsonObject":
        return _schema(" ".join(verb)) if verb else dict(_names())

    def lines(found: "JsonObject") -> list[str]:
        import json

        if verb:
            return json.dumps(found, indent=1).splitlines()
        from trustedpods.publisher.output.terminal import table

        return table(("VERB", "SCHEMA"), list(_names().items()))

    run.guard(work, lines, lambda found: {"schema" if verb else "schemas": found})


def _names() -> dict[str, str]:
    from trustedpods.publisher.output.answers.published import BESIDE, PUBLISHED, schema_id

    return {verb: name for verb in (*PUBLISHED, *BESIDE) if (name := schema_id(verb)) is not None}


def _schema(verb: str) -> "JsonObject":
    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.output.answers.schema import schema as schema_of

    if verb not in _names():
        raise BadInput(
            f"no schema of what {verb!r} prints",
            where="VERB",
            hint="`trustedpods schema` lists the verbs that have one",
        )
    return schema_of(verb)
