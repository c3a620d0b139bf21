# SPDX-License-Identifier: Apache-2.0
"""Verbs about the machine image that a sealed provider boots: guest measure, run, config."""

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, ParamSpec

import click

from trustedpods.protocol.errors import BadInput
from trustedpods.provider.commands.options import explained, output_option
from trustedpods.provider.commands.output import show, show_rows

if TYPE_CHECKING:
    from trustedpods.guest.machine import Machine
    from trustedpods.guest.measure import MeasureResult

P = ParamSpec("P")

DEFAULT_FOLDER = "build/guest"
"""Where `make guest` puts an image."""

DEFAULT_MEMORY_MIB = 4096
"""Enough for the node and a few pods; from 2816 on no measurement depends on it."""

_FILE = click.Path(dir_okay=False, path_type=Path)
_image_option = click.option(
    "--image",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    default=DEFAULT_FOLDER,
    show_default=True,
    help="The folder of an image, as `make guest` makes it.",
)


@click.group()
def guest() -> None:
    """The machine image that a sealed provider boots."""


@guest.command(
    epilog="""\b
Examples:
  trustedpods-provider guest measure --vcpus 2 --vcpus 8
  trustedpods-provider guest measure --image image --platform tdx
  trustedpods-provider guest measure OVMF.fd vmlinuz initrd.img cmdline --model EPYC-Genoa -o json

\b
The values are what a policy lists, and -o json has the fields of an image in a release file
(docs/guest.md). Memory (on TDX from 2816 MiB on), disks and network do not change them.
"""
)
@click.argument("files", metavar="[FIRMWARE KERNEL INITRD CMDLINE]", nargs=-1, type=_FILE)
@_image_option
@click.option("--platform", type=click.Choice(["snp", "tdx"]), default="snp", show_default=True)
@click.option(
    "--vcpus", type=int, multiple=True, default=(1, 2, 4, 8, 16), show_default=True, help="Repeatable."
)
@click.option(
    "--model", multiple=True, default=("EPYC-v4",), show_default=True, help="-cpu of qemu; repeatable."
)
@click.option(
    "--debug-swap", is_flag=True, help="For hosts whose kernel sets guest feature 0x20 (DebugSwap) too."
)
@output_option
@explained
def measure(
    files: tuple[Path, ...],
    folder: Path,
    platform: str,
    vcpus: tuple[int, ...],
    model: tuple[str, ...],
    debug_swap: bool,
    output: str,
) -> None:
    """Compute what a machine with these files measures to, without starting it.

    The files are those of an image's folder, unless all four are named: FIRMWARE is OVMF's AmdSevX64
    (SEV-SNP) or IntelTdx, KERNEL and INITRD are what qemu gets as -kernel and -initrd, CMDLINE is a file with
    the text for -append and no line break.

    SEV-SNP: the launch digest of each shape. TDX: MRTD for both orders in which hosts add pages, RTMR1 and
    RTMR2; RTMR0 is the host's word and not relied on.
    """
    from trustedpods.guest.machine import Platform, image_files
    from trustedpods.guest.measure import ImageFiles, measure_snp, measure_tdx
    from trustedpods.guest.processors import FEATURES, MachineShape

    if files and len(files) != len(ImageFiles.__slots__):
        raise BadInput("all four files, or none", hint="none: those of the folder that --image names")
    image = ImageFiles(*files) if files else image_files(folder, Platform(platform))
    if platform == "tdx":
        result = measure_tdx(image)
    else:
        features = FEATURES[1] if debug_swap else FEATURES[0]
        result = measure_snp(
            image, [MachineShape(count, name, features) for name in model for count in vcpus]
        )
    _show(result, output)


def _show(result: "MeasureResult", output: str) -> None:
    snp = [
        {
            "vcpus": one.shape.vcpus,
            "model": one.shape.model,
            "features": one.shape.features,
            "digest": one.digest.hex(),
        }
        for one in result.snp
    ]
    tdx = [
        {
            "page_order": one.order.value,
            "mrtd": one.mrtd.hex(),
            "rtmr1": one.rtmr1.hex(),
            "rtmr2": one.rtmr2.hex(),
        }
        for one in result.tdx
    ]
    if output == "json":
        click.echo(json.dumps({"artefacts": dict(result.artefacts), "snp": snp, "tdx": tdx}, indent=2))
        return
    show(dict(result.artefacts), output)
    if snp:
        show_rows(snp, output)
    for facts in tdx:
        show(facts, output)


def _machine_options(verb: Callable[P, None]) -> Callable[P, None]:
    """What `run` and `config` ask for."""
    for option in (
        click.option(
            "--console/--no-console",
            default=None,
            help="The guest's log on its serial port, which is another measurement; in emulation it is on.",
        ),
        click.option("--memory", type=int, default=DEFAULT_MEMORY_MIB, show_default=True, help="In MiB."),
        click.option("--model", default="EPYC-v4", show_default=True, help="-cpu of qemu on SEV-SNP."),
        click.option("--vcpus", type=int, default=2, show_default=True),
        click.option(
            "--platform",
            type=click.Choice(["snp", "tdx", "emulation"]),
            default="snp",
            show_default=True,
            help="Emulation is for trying: the host reads all of it.",
        ),
        _image_option,
    ):
        verb = option(verb)
    return verb


def _machine(
    folder: Path, platform: str, vcpus: int, model: str, memory: int, console: bool | None
) -> "Machine":
    from trustedpods.guest.machine import Platform, machine_of

    chosen = Platform(platform)
    shown = chosen is Platform.EMULATION if console is None else console
    return machine_of(folder, chosen, vcpus=vcpus, model=model, memory_mib=memory, console=shown)


@guest.command(
    epilog="""\b
Examples:
  trustedpods-provider guest run --vcpus 8 --memory 32768
  trustedpods-provider guest run --platform emulation | sh

\b
It measures to what `guest measure` says with the same image, --vcpus and --model. The machine has the
image's root and no other disk, and no network: nothing in the image uses them yet (docs/guest.md).
"""
)
@_machine_options
@output_option
@explained
def run(
    folder: Path,
    platform: str,
    vcpus: int,
    model: str,
    memory: int,
    console: bool | None,
    output: str,
) -> None:
    """Print the command that starts the image in qemu; nothing is started.

    SEV-SNP needs qemu 9.1 and Linux 6.11 on the host, TDX qemu 10.1 and Linux 6.16 (`guest config` says what
    else).
    """
    from trustedpods.guest.machine import qemu_words

    words = qemu_words(_machine(folder, platform, vcpus, model, memory, console))
    click.echo(json.dumps({"argv": words}, indent=2) if output == "json" else shlex.join(words))


@guest.command(
    epilog="""\b
Examples:
  trustedpods-provider guest config --platform tdx --vcpus 8 > guest.xml && virsh define guest.xml
  trustedpods-provider guest config -o json
"""
)
@_machine_options
@click.option("--name", default="trustedpods-guest", show_default=True, help="Of the domain.")
@output_option
@explained
def config(
    folder: Path,
    platform: str,
    vcpus: int,
    model: str,
    memory: int,
    console: bool | None,
    name: str,
    output: str,
) -> None:
    """Print libvirt's domain for the image, and what to set in the firmware of the host."""
    from trustedpods.guest.domain import HOST_FIRMWARE, domain_xml

    machine = _machine(folder, platform, vcpus, model, memory, console)
    xml = domain_xml(machine, name)
    if output == "json":
        settings = list(HOST_FIRMWARE[machine.platform])
        click.echo(json.dumps({"host_firmware": settings, "libvirt": xml}, indent=2))
    else:
        click.echo(xml, nl=False)
