# SPDX-License-Identifier: Apache-2.0
"""`image push`: images to the provider of a pod that runs, before the version that has them is deployed."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, named, pod_name

if TYPE_CHECKING:
    from trustedpods.publisher.results.deployed import PushResult


@click.group(
    epilog="""\b
Examples:
  trustedpods image push pod.yaml
"""
)
def image() -> None:
    """Images of pods, without their pods."""


@image.command(
    epilog="""\b
Examples:
  trustedpods image push pod.yaml
  trustedpods image push web-2.tar --name web
  trustedpods image push registry.example.org/team/web:2 --name web
"""
)
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--name", metavar="NAME", callback=pod_name, help="The pod's; of an image it must be said.")
@named
def push(options: Common, file: Path, name: str | None) -> None:
    """Send the images of FILE to the provider of the pod that runs; `deploy` then sends nothing.

    FILE is a manifest, or an image as `deploy` takes one. They are sealed as in a deploy; run again
    it goes on where it stopped. What no version needs goes after an hour or two.
    """
    run = Run(options)

    async def work() -> "PushResult":
        from trustedpods.publisher.context import cache_dir
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.push import images_of, push

        with run.opening() as opening:
            pod, images = images_of(file, name, cache_dir(), opening)
        run.progress = progress = VisitProgress()
        async with run.account() as account:
            return await push(account, pod, images, progress, run.journal)

    run.finish(work, _lines)


def _lines(result: "PushResult") -> list[str]:
    sent = result.sent
    there = f"the provider of {result.pod.name} has the images"
    return [f"{there}: {len(sent.blobs)} blobs, {sent.sealed_bytes} bytes sent now"]
