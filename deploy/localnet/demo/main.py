# SPDX-License-Identifier: Apache-2.0
"""`trustedpods-localnet demo`: brings a market up, tells both stories, prints the table."""

import secrets
import sys
import time
from pathlib import Path

import click

from trustedpods.localnet.demo import stories
from trustedpods.localnet.demo.outside import Json, Outside, StepFailed
from trustedpods.localnet.demo.table import Steps
from trustedpods.localnet.settings import Knobs
from trustedpods.localnet.up import up

KNOBS = Knobs(claim_interval_s=600, grace_s=5, warn_before_s=12)
"""The demo claims when it says so, and nobody wants to watch a grace period of a minute."""


@click.command(name="trustedpods-localnet demo")
@click.option("--name", default="demo", show_default=True, help="Which localnet; brought up if need be.")
@click.option(
    "--images",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path("~/.cache/trustedpods/images").expanduser(),
    help="Where `make setup` put the example images.",
)
@click.option(
    "--examples",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    default=Path("manifests/examples"),
    help="Where the example manifests are.",
)
def demo(name: str, images: Path, examples: Path) -> None:
    """Deploy a new pod, wake it, bill it, and watch another one run out of funds."""
    began = time.monotonic()
    _say(f"bringing up the localnet {name!r}")
    outside = Outside(up(name, knobs=KNOBS, say=_say))
    web, steady = _manifests(outside.folder, images.absolute(), examples.absolute())
    suffix, steps = secrets.token_hex(3), Steps()
    _forget_the_last(outside)
    result = stories.deploy(outside, web, f"web-{suffix}", stories.DEPOSIT)
    (outside.folder / "last").write_text(f"web-{suffix}")
    stories.tell_deploy(result, steps)
    stories.wake_and_sleep(outside, result, steps)
    stories.bill_and_pay(outside, result, steps)
    stories.run_dry(outside, steady, f"steady-{suffix}", steps)
    steps.print()
    _last_words(outside, result, name, began)


def _manifests(folder: Path, images: Path, examples: Path) -> tuple[Path, Path]:
    """The examples beside their images: as they are, and one that never sleeps."""
    folder.mkdir(parents=True, exist_ok=True)
    for source in (images / "web.tar", images / "hello.tar", examples / "htpasswd"):
        link = folder / source.name
        link.unlink(missing_ok=True)
        link.symlink_to(source)
    web, steady = folder / "web.yaml", folder / "steady.yaml"
    web.write_text((examples / "web.yaml").read_text().replace("idleAfter: 60s", "idleAfter: 5s"))
    steady.write_text((examples / "hello.yaml").read_text().replace("{min: 0, max: 1}", "{min: 1, max: 1}"))
    return web, steady


def _forget_the_last(outside: Outside) -> None:
    """Delete the pod that an earlier demo left serving."""
    last = outside.folder / "last"
    if last.exists():
        _say(f"deleting {last.read_text()} of the demo before")
        outside.trustedpods("delete", last.read_text())
        last.unlink()
    outside.provider("claim", "--withdraw")  # what is owed from before would blur this run's sums


def _last_words(outside: Outside, result: Json, name: str, began: float) -> None:
    url = result["endpoints"][0]["url"]
    stories.asleep(outside, result["namespace"])
    answer, taken = outside.get(url)
    if answer.status_code != 200:
        raise StepFailed(f"GET {url} at the end: status {answer.status_code}")
    host, port = url.split("/")[2], url.split("/")[2].rsplit(":", 1)[1]
    click.echo(f"\n{url} answers from zero pods: {answer.status_code} after {taken:.2f} s")
    click.echo(
        f"  curl {url}   (where *.localhost does not resolve: curl -H 'Host: {host}' http://127.0.0.1:{port}/)"
    )
    click.echo(f'  . .venv/bin/activate; eval "$(trustedpods-localnet env --name {name})"   to go on by hand')
    click.echo(f"  trustedpods-localnet down --name {name}   removes all of it")
    click.echo(f"all fifteen steps happened, {time.monotonic() - began:.0f} s in all")


def _say(text: str) -> None:
    sys.stderr.write(text + "\n")


def main(arguments: list[str]) -> None:
    """Run the demo; raises StepFailed naming the step that did not happen."""
    demo.main(args=arguments, standalone_mode=False)
