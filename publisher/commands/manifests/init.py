# SPDX-License-Identifier: Apache-2.0
"""`init`, and the words that it and `deploy IMAGE` share: what a person adds to an image."""

import functools
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from trustedpods.publisher.commands.options import Common, Run, named, pod_name

if TYPE_CHECKING:
    from trustedpods.manifests.draft import DraftWords
    from trustedpods.protocol.messages.provider import TrustClass
    from trustedpods.publisher.journal import Journal
    from trustedpods.publisher.output.json_of import Answer
    from trustedpods.publisher.pod import Pod
    from trustedpods.publisher.results.validated import DraftResult


@dataclass(frozen=True, slots=True)
class ImageWords:
    """What a person says beside an image, as it was typed."""

    ports: tuple[str, ...]
    env: tuple[str, ...]
    secrets: tuple[str, ...]
    volumes: tuple[str, ...]
    cpu: str | None
    memory: str | None


F = TypeVar("F", bound=Callable[..., Any])

MANIFEST_ENDS = (".yaml", ".yml", ".json")
"""How a manifest's file is called: one that is not there is missed, and no image."""


def draft_words(verb: F) -> F:
    """Add --port, --env, --secret, --volume, --cpu and --memory to a verb, which gets `words`."""

    @click.option(
        "--port", "ports", multiple=True, metavar="PORT", help="Of an image: 8080 (HTTP), 5432/tcp."
    )
    @click.option("--env", "env", multiple=True, metavar="NAME=VALUE", help="Of an image: a variable.")
    @click.option("--secret", "secrets", multiple=True, metavar="[NAME=]FILE", help="At /run/secrets/NAME.")
    @click.option("--volume", "volumes", multiple=True, metavar="/PATH=SIZE", help="Kept over its sleep.")
    @click.option("--cpu", metavar="CPU", help="Of an image: 100m if not said.")
    @click.option("--memory", metavar="SIZE", help="Of an image: 128Mi if not said.")
    @functools.wraps(verb)
    def wrapped(**arguments: Any) -> Any:  # noqa: ANN401
        words = ImageWords(**{one.name: arguments.pop(one.name) for one in fields(ImageWords)})
        return verb(words=words, **arguments)

    return cast("F", wrapped)


def built_by(verb: F) -> F:
    """Add --builder to a verb, which gets `builder`."""
    choice = click.Choice(["buildah", "podman", "docker"])
    help_text = "Builds a folder with a Dockerfile: else the first that is there."
    return click.option("--builder", type=choice, help=help_text)(verb)


def made_words(words: ImageWords, name: str | None) -> "DraftWords":
    """The words as they are handed on."""
    from trustedpods.manifests.draft import DraftWords

    return DraftWords(name=name, **asdict(words))


def without_manifest(file: Path) -> bool:
    """Whether FILE of a deploy is an image; what is not there is one too, but for a name of manifests."""
    from trustedpods.publisher.images.source import image_reference

    missing = not file.exists() and file.suffix not in MANIFEST_ENDS
    return missing or file.is_dir() or image_reference(str(file)) is not None


def deployed_pod(
    file: Path,
    name: str | None,
    trust: "TrustClass | None",
    words: ImageWords,
    run: Run,
    builder: str | None = None,
) -> "Pod":
    """The pod of a manifest's *file*, or of an image, whose manifest is made and shown first.

    Raises `BadInput`, also for *words* beside a manifest, which says all of it.
    """
    from trustedpods.publisher.context import cache_dir
    from trustedpods.publisher.pod import pod_of, read_pod

    if not without_manifest(file):
        _only_for_an_image(words)
        with run.opening(builder=builder) as opening:
            return read_pod(file, cache_dir(), name, trust, opening)
    from trustedpods.publisher.verbs.drafts.draft import read_draft

    made = made_words(words, name)
    with run.opening(builder=builder) as opening:
        loaded, text, notes = read_draft(str(file), Path("pod.yaml"), made, cache_dir(), opening)
        _show_draft(str(file), text, notes, run.journal)
        return pod_of(loaded, cache_dir(), None, trust, opening)


def _show_draft(image: str, text: str, notes: tuple[str, ...], journal: "Journal") -> None:
    journal.event(
        "drafted", f"the manifest of {image}, which `trustedpods init` writes to a file:", manifest=text
    )
    for line in text.splitlines():
        journal.show.line(f"  {line}")
    for note in notes:
        journal.show.warning(note)


def _only_for_an_image(words: ImageWords) -> None:
    """`BadInput` for *words* beside a file that says all of it."""
    from trustedpods.protocol.errors import BadInput

    if given := [f"--{key.removesuffix('s')}" for key, value in asdict(words).items() if value]:
        hint = "write it into the manifest"
        raise BadInput("only for an image without a manifest", where=", ".join(given), hint=hint)


@click.command(
    epilog="""\b
Examples:
  trustedpods init hello.tar
  trustedpods init oci-archive:shop.tar --port 8080 --env MODE=demo --volume /data=2Gi
  trustedpods init compose.yaml
  trustedpods init docker.io/library/redis:7 --port 6379/tcp
  trustedpods init shop.tar --secret password=db.txt -f - | less
"""
)
@click.argument("image")
@click.option(
    "-f", "--file", default="pod.yaml", show_default=True, type=click.Path(path_type=Path), help="-: print."
)
@click.option("--name", metavar="NAME", callback=pod_name, help="The pod's; else it is the image's file's.")
@click.option("--force", is_flag=True, help="Write over a file that is there.")
@built_by
@draft_words
@named
def init(
    options: Common,
    image: str,
    file: Path,
    name: str | None,
    builder: str | None,
    *,
    force: bool,
    words: ImageWords,
) -> None:
    """Write a manifest for IMAGE, written as for `deploy`, from what its configuration says.

    A Compose file is taken too, as by `convert`.

    Its ports, user and volumes are taken over; program and variables stay the image's. The manifest is
    checked with the image as `validate` does before it is written. Asks a registry for an image of one only.
    """
    run = Run(options)

    def work() -> "DraftResult":
        from trustedpods.publisher.context import cache_dir

        source = Path(image)
        if source.suffix in MANIFEST_ENDS and source.is_file():
            from trustedpods.publisher.verbs.drafts.converted import convert

            _only_for_an_image(words)
            return convert(source, file, name, force=force, shell=os.environ)
        from trustedpods.publisher.verbs.drafts.draft import init

        with run.opening(builder=builder) as opening:
            return init(image, file, made_words(words, name), cache_dir(), opening, force=force)

    print_draft(run, work)


def print_draft(run: Run, making: "Callable[[], DraftResult]") -> None:
    """Run *making*, and tell of the manifest that came of it, with its notes."""

    def work() -> "DraftResult":
        done = making()
        for note in done.notes:
            run.show.warning(note)
        return done

    def form(result: "DraftResult") -> "Answer":
        from trustedpods.publisher.output.json_validated import draft_json

        return draft_json(result)

    def lines(result: "DraftResult") -> list[str]:
        if result.file is None:
            return result.manifest.splitlines()
        return [f"{result.file}: pod {result.pod}; `trustedpods deploy {result.file}` runs it"]

    run.guard(work, lines, form)
