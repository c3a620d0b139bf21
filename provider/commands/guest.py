# SPDX-License-Identifier: Apache-2.0
"""Verbs about the machine image that a sealed provider boots: guest measure."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from trustedpods.provider.commands.options import explained, output_option
from trustedpods.provider.commands.output import show, show_rows

if TYPE_CHECKING:
    from trustedpods.guest.measure import MeasureResult

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.group()
def guest() -> None:
    """The machine image that a sealed provider boots."""


@guest.command(
    epilog="""\b
Examples:
  trustedpods-provider guest measure OVMF.fd vmlinuz initrd.img cmdline --vcpus 2 --vcpus 8
  trustedpods-provider guest measure OVMF.fd vmlinuz initrd.img cmdline --model EPYC-Genoa -o json
  trustedpods-provider guest measure OVMF.fd vmlinuz initrd.img cmdline --platform tdx

\b
The values are what a policy lists, and -o json has the fields of an image in a release file
(docs/guest.md). Memory (on TDX from 2816 MiB on), disks and network do not change them.
"""
)
@click.argument("files", metavar="FIRMWARE KERNEL INITRD CMDLINE", nargs=4, type=_FILE)
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
    files: tuple[Path, Path, Path, Path],
    platform: str,
    vcpus: tuple[int, ...],
    model: tuple[str, ...],
    debug_swap: bool,
    output: str,
) -> None:
    """Compute what a machine with these files measures to, without starting it.

    FIRMWARE is OVMF's AmdSevX64 (SEV-SNP) or IntelTdx, KERNEL and INITRD are what qemu gets as -kernel and
    -initrd, CMDLINE is a file with the text for -append and no line break.

    SEV-SNP: the launch digest of each shape. TDX: MRTD for both orders in which hosts add pages, RTMR1 and
    RTMR2; RTMR0 is the host's word and not relied on.
    """
    from trustedpods.guest.measure import ImageFiles, measure_snp, measure_tdx
    from trustedpods.guest.processors import FEATURES, MachineShape

    image = ImageFiles(*files)
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
