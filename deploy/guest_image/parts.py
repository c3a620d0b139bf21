# SPDX-License-Identifier: Apache-2.0
"""What the guest is made of: each part is built or fetched once, and kept under the hash of its inputs."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import debian_packages
import firmware
import kernel
import pins
import root_tree
import sources
import wheels
from wheels import NotBuildable, run

from trustedpods.localnet.cluster import binaries, container_runtime
from trustedpods.protocol.errors import TrustedPodsError

HERE = Path(__file__).resolve().parent
GO_VERSION = "go1.26.8"
"""Another version of Go makes other programs; Go fetches this one where the machine has another."""

KERNEL = "linux-source-"
"""The package of the kernel's source among the pinned ones: it is built, and no part of the root."""


@dataclass(frozen=True, slots=True)
class Parts:
    """All inputs of an image; `packages` in the order of `pinned`, `programs` by their name inside.

    `kernel` and `firmware` are the folders of what was built.
    """

    pinned: pins.Pins
    packages: tuple[Path, ...]
    wheels: tuple[Path, ...]
    programs: dict[str, Path]
    plugin: Path
    init: Path
    kernel: Path
    firmware: Path
    images: tuple[Path, ...] = ()

    def key(self) -> str:
        """The hash of everything that the image is made from, the builder's own text included."""
        total = hashlib.sha256()
        paths = [
            *self.wheels,
            *self.programs.values(),
            *self.images,
            self.plugin,
            self.init,
            self.kernel / "vmlinuz",
            *(self.firmware / one.name for one in firmware.PLATFORMS),
            *builder_files(),
        ]
        for name in (str(self.pinned), *self.programs):
            total.update(hashlib.sha256(name.encode()).digest())
        for path in paths:
            total.update(hashlib.sha256(path.read_bytes()).digest())
        return total.hexdigest()[:16]


def builder_files() -> list[Path]:
    """The files that decide what an image has: this folder's, and what lays wheels out for it."""
    ours = sorted(path for path in HERE.iterdir() if path.suffix in {".py", ".txt"})
    return [*ours, HERE.parent / "debian" / "staging.py"]


def collected(root: Path, cache: Path, work: Path) -> Parts:
    """Every part for the checkout *root*; NotBuildable says what is missing and what to do."""
    pinned = pins.read((HERE / "pins.txt").read_text())
    wanted = wheels.requirements((root / "deploy/setup/hashes.txt").read_text(), wheels.installed())
    dependencies = wheels.fetched(wanted, root / "deploy/debian/files/build-tools.txt", cache)
    shutil.rmtree(work / "wheel", ignore_errors=True)
    programs = {
        "kube": binaries.kube(),
        "trustedpods-netpol-agent": binaries.netpol(),
        "trustedpods-tunnel": binaries.tunnel(),
        "local-path-provisioner": binaries.provisioner(),
        **{name: binaries.containers() / name for name in container_runtime.PROGRAMS},
    }
    container_programs()
    for program in (*programs.values(), binaries.netpol_cni()):
        same_go(program)
    packages = tuple(debian_packages.fetched(pinned.packages, cache))
    return Parts(
        pinned,
        packages,
        (*dependencies, wheels.own(root, work / "wheel", pinned.epoch)),
        programs,
        binaries.netpol_cni(),
        init_program(HERE / "init", cache),
        kernel.built(kernel_source(pinned, packages), cache),
        firmware.built(firmware_source(cache), pinned.epoch, cache),
        tuple(binaries.built(binaries.image(name)) for name in binaries.NODE_IMAGES),
    )


def container_programs() -> None:
    """Build the container runtime, which nothing but the image and some localnets need."""
    try:
        binaries.build_containers()
    except TrustedPodsError as error:
        raise NotBuildable(f"the container runtime: {error}") from error


def same_go(program: Path) -> None:
    """NotBuildable for a program of another version of Go than the image's, or one that is not there."""
    if not program.exists():
        raise NotBuildable(f"{program} has not been built: `make setup`")
    version = run(["go", "version", str(program)], {}).split()[-1]
    if version != GO_VERSION:
        raise NotBuildable(
            f"{program} was built by {version}, the image needs {GO_VERSION}: remove it, then"
            f" `GOTOOLCHAIN={GO_VERSION} make guest`"
        )


def init_program(folder: Path, cache: Path, go: str = GO_VERSION) -> Path:
    """The program of the initrd, from its sources in *folder*, by this version of Go."""
    files = sorted(path for path in folder.iterdir() if path.name == "go.mod" or path.suffix == ".go")
    kept = [path for path in files if not path.name.endswith("_test.go")]
    inputs = hashlib.sha256(go.encode())
    for path in kept:
        inputs.update(f"{path.name}\0".encode() + path.read_bytes())

    def build(target: Path) -> None:
        flags = ["-trimpath", "-buildvcs=false", "-ldflags=-s -w -buildid="]
        environment = {"CGO_ENABLED": "0", "GOFLAGS": "", "GOARCH": "amd64", "GOAMD64": "v1"}
        environment |= {"GOTOOLCHAIN": go, "GOWORK": "off", "GOEXPERIMENT": ""}
        run(["go", "build", *flags, "-o", str(target), "."], environment, folder)

    return wheels.kept_part(cache / f"guest-init-{inputs.hexdigest()[:16]}", build)


def kernel_source(pinned: pins.Pins, packages: tuple[Path, ...]) -> Path:
    """The package of the kernel's source among the pinned ones."""
    found = [path for pin, path in zip(pinned.packages, packages, strict=True) if pin.name.startswith(KERNEL)]
    if len(found) != 1:
        raise NotBuildable(f"the pins have {len(found)} kernels, not one; {pins.RENEW}")
    return found[0]


def firmware_source(cache: Path) -> list[Path]:
    """The archives that the firmware is built from."""
    return sources.fetched(sources.read((HERE / "edk2.txt").read_text()), cache)


def debian_root(parts: Parts, root: Path) -> None:
    """Everything of Debian's but the kernel's source under the empty folder *root*."""
    source = kernel_source(parts.pinned, parts.packages)
    root_tree.unpack((path for path in parts.packages if path != source), root)
    root_tree.complete(root)
