# SPDX-License-Identifier: Apache-2.0
"""From parts to the files that a machine is started from: kernel, initrd, root, command line."""

import hashlib
import json
import os
import tempfile
from pathlib import Path

import firmware
import initrd
import parts as part
import verity
from parts import Parts
from settling import settle
from staging import put, unpack
from wheels import NotBuildable, run

OURS = "usr/lib/trustedpods"
PYTHON = "/usr/lib/python3.11"
FILES = ("vmlinuz", "initrd.img", "root.img", "cmdline")
WORDS = (
    "rdinit=/init", "panic=1", "oops=panic", "loglevel=4", "lockdown=confidentiality",
    "random.trust_cpu=1", "random.trust_bootloader=0", "no-kvmclock", "mce=off", "efi=noruntime",
)  # fmt: skip
"""The command line before the root: end at the first doubt, lock the kernel, take no randomness and no time
from the host, call no firmware after the boot."""

LAUNCHER = """\
#!/usr/bin/python3 -IB
import sys

sys.path.append("/%s/site")

from %s import main

sys.exit(main())
"""
STARTED = {
    "trustedpods-provider": "trustedpods.provider.cli",
    "trustedpods-supervisor": "trustedpods.localnet.guest.main",
}
"""Our own programs and the modules that they are."""

UUID = "00000000-0000-4000-8000-000000000000"
COMPRESSION = ("-zlz4hc", "-C65536")
EROFS = "mkfs.erofs 1.5"
"""The version of erofs-utils (Debian 12's): another one lays files out in another way."""


def build(parts: Parts, out: Path, work: Path) -> None:
    """The files of `FILES` and `manifest.json` in *out*; *work* has room for 2 GB. As root, for a chroot."""
    if os.geteuid() != 0:
        raise NotBuildable("an image is built as root: its own Python compiles its modules in a chroot")
    os.umask(0o022)
    with tempfile.TemporaryDirectory(dir=work, prefix="guest-") as name:
        root = Path(name, "root")
        root.mkdir()
        part.debian_root(parts, root)
        overlay(parts, root)
        compile_modules(root, parts.pinned.epoch)
        settle(root, parts.pinned.epoch)
        erofs(root, out / "root.img", parts.pinned.epoch)
    line = command_line(verity.append_tree(out / "root.img"))
    (out / "cmdline").write_text(line)
    (out / "initrd.img").write_bytes(initrd.initrd(parts.init.read_bytes(), line))
    (out / "vmlinuz").write_bytes((parts.kernel / "vmlinuz").read_bytes())
    (out / "kernel.config").write_bytes((parts.kernel / "config").read_bytes())
    for one in firmware.PLATFORMS:
        (out / one.name).write_bytes((parts.firmware / one.name).read_bytes())
    (out / "manifest.json").write_text(manifest(parts, out))


def overlay(parts: Parts, root: Path) -> None:
    """What is ours, and what is Python's, over Debian's files."""
    ours = root / OURS
    for wheel in parts.wheels:
        unpack(wheel, ours / "site")
    for name, path in parts.programs.items():
        put(ours / "bin" / name, path.read_bytes(), 0o755)
    for name, module in STARTED.items():
        put(ours / "bin" / name, (LAUNCHER % (OURS, module)).encode(), 0o755)
    for path in parts.images:
        put(ours / "images" / path.name, path.read_bytes(), 0o644)
    put(ours / "init", parts.init.read_bytes(), 0o755)
    put(root / "usr/lib/cni/trustedpods-netpol", parts.plugin.read_bytes(), 0o755)
    rows = (f"{pin.sha256}  {pin.name} {pin.version}\n" for pin in parts.pinned.packages)
    put(ours / "packages.txt", "".join(rows).encode())


def compile_modules(root: Path, epoch: int) -> None:
    """All of Python's modules, by the image's own Python: the root is read-only, and starting takes a tenth.

    Some packages carry sources for other versions of Python: these stay as they are.
    """
    argv = ["chroot", str(root), "/usr/bin/python3", "-IB", "-m", "compileall", "-q", "--invalidation-mode"]
    argv += ["unchecked-hash", f"/{OURS}/site", PYTHON]
    clean = [
        "env",
        "-i",
        "PATH=/usr/sbin:/usr/bin",
        "LC_ALL=C.UTF-8",
        "PYTHONHASHSEED=0",
        f"SOURCE_DATE_EPOCH={epoch}",
    ]
    run([*clean, *argv[:3], "-IBc", "import zipfile, ssl, ctypes, sqlite3"], {})
    run([*clean, "sh", "-c", '"$@" >/dev/null || true', "_", *argv], {})
    if not list((root / OURS / "site/trustedpods").rglob("cli.*.pyc")):
        raise NotBuildable("the image's Python compiled nothing of ours")


def erofs(root: Path, target: Path, epoch: int) -> None:
    """A read-only file system of *root*, with root as owner of all and without extended attributes.

    Those are the building machine's: labels, access lists.
    """
    target.unlink(missing_ok=True)
    version = run(["sh", "-c", "mkfs.erofs --version 2>&1 | grep -o '^mkfs.erofs [0-9.]*' || true"], {})
    if version.strip() != EROFS:
        raise NotBuildable(
            f"{EROFS} is needed, of Debian 12's erofs-utils; here is {version.strip() or 'none'}"
        )
    argv = ["mkfs.erofs", "--quiet", *COMPRESSION, f"-T{epoch}", f"-U{UUID}", "--all-root", "-x-1"]
    argv += [str(target), str(root)]
    run(argv, {"LC_ALL": "C", "TZ": "UTC"})


def command_line(root: verity.Root) -> str:
    """The whole command line: init accepts this and nothing else."""
    return f"{' '.join(WORDS)} trustedpods.root={root.digest}:{root.salt}:{root.blocks}"


def manifest(parts: Parts, out: Path) -> str:
    """What was made of what: SHA-256 of the files, and of every part, as JSON."""

    def of(path: Path) -> str:
        return hashlib.sha256(path.read_bytes()).hexdigest()

    names = (*FILES, *(one.name for one in firmware.PLATFORMS))
    made = {name: {"sha256": of(out / name), "bytes": (out / name).stat().st_size} for name in names}
    programs = {name: of(path) for name, path in sorted(parts.programs.items())}
    programs |= {"init": of(parts.init), "trustedpods-netpol": of(parts.plugin)}
    whole = {
        "files": made,
        "epoch": parts.pinned.epoch,
        "go": part.GO_VERSION,
        "programs": programs,
        "wheels": {path.name: of(path) for path in parts.wheels[:-1]},
    }
    return json.dumps(whole, indent=1, sort_keys=True) + "\n"
