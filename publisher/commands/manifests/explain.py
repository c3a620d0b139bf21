# SPDX-License-Identifier: Apache-2.0
"""`explain`: a field of a manifest in words, and the whole schema for editors."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, common

if TYPE_CHECKING:
    from trustedpods.manifests.explain import ExplainedField
    from trustedpods.publisher.output.json_of import JsonObject


@click.command(
    epilog="""\b
Examples:
  trustedpods explain
  trustedpods explain spec.containers.readinessProbe
  trustedpods explain idleAfter
  trustedpods explain --schema > pod.schema.json
"""
)
@click.argument("field", default="")
@click.option("--kind", type=click.Choice(["Pod", "Network"]), default="Pod", show_default=True)
@click.option("--schema", "whole", is_flag=True, help="Print the JSON schema, for editors.")
@common
def explain(options: Common, field: str, kind: str, *, whole: bool) -> None:
    """What may stand in a FIELD of a manifest: its type, default and bounds, and the fields in it.

    FIELD is a path with dots, or the end of one that is the only one of its kind. Without it, the whole file.
    """
    run = Run(options)

    def work() -> "ExplainedField | JsonObject":
        if whole:
            from trustedpods.manifests.schema import schema

            return schema(kind)
        from trustedpods.manifests.explain import explained

        return explained(field, kind)

    def form(result: "ExplainedField | JsonObject") -> "JsonObject":
        from dataclasses import asdict

        return {"schema": result} if isinstance(result, dict) else asdict(result)

    def lines(result: "ExplainedField | JsonObject") -> list[str]:
        import json

        if isinstance(result, dict):
            return json.dumps(result, indent=1).splitlines()
        return explained_lines(result, kind)

    run.guard(work, lines, form)


def explained_lines(result: "ExplainedField", kind: str) -> list[str]:
    """As a terminal shows it."""
    from trustedpods.publisher.output.terminal import table

    facts = [f"default {result.default}"] if result.default is not None else []
    facts += ["required"] if result.required else []
    lines = [f"{result.path or kind}: {'; '.join([result.type, *facts, *result.rules])}", ""]
    if result.within:
        lines.append(f"Of {result.within}:")
    lines += result.about.splitlines()
    if not result.fields:
        return lines
    rows = [
        (one.path.rpartition(".")[2], one.type, "required" if one.required else one.default or "")
        for one in result.fields
    ]
    return [*lines, "", *table(("FIELD", "TYPE", "DEFAULT"), rows)]
