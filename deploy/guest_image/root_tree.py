# SPDX-License-Identifier: Apache-2.0
"""The files of the guest's root from Debian packages that are unpacked and never installed.

No script of a package runs: no package database, no cache, no machine id, no log, nothing that differs
between two builds. What scripts would have made and is needed stands below, by name. Nothing is taken that
logs somebody in.
"""

import os
import subprocess
import tarfile
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import IO

from staging import put
from wheels import NotBuildable, run

MERGED = ("bin", "sbin", "lib", "lib64")
"""Folders that are links into usr, as Debian has them."""

DROPPED = (
    "boot", "etc/cron.d", "etc/cron.daily", "etc/default", "etc/init.d", "etc/initramfs-tools", "etc/kernel",
    "etc/logrotate.d", "etc/modprobe.d", "etc/pam.d", "usr/lib/init", "usr/lib/modprobe.d", "usr/lib/systemd",
    "usr/lib/udev", "usr/share/bash-completion", "usr/share/bug", "usr/share/debconf", "usr/share/doc",
    "usr/share/info", "usr/share/initramfs-tools", "usr/share/lintian", "usr/share/locale", "usr/share/man",
    "usr/share/perl5", "usr/share/zsh", "var",
)  # fmt: skip
"""For people, for other programs, or written when a machine is installed."""

DOORS = {
    "agetty", "getty", "sulogin", "login", "su", "newgrp", "runuser", "sudo", "nsenter", "script", "wall",
    "mesg", "write", "chsh", "chfn", "setpriv", "unshare", "kexec",
}  # fmt: skip
"""Programs that let somebody in, or become somebody else. containerd's ctr stays: it loads the
node's own images at boot, and nobody else can call it where there is no shell."""

DATA = {"usr/bin/busybox": "usr/lib/trustedpods/probe/busybox"}
"""Programs that nobody inside starts, by where they lie instead, as data: busybox is what the daemon's probe
pods consist of, and in the root it would be a shell."""

_CHUNK = 1 << 16
PROGRAM_FOLDERS = {"usr/bin", "usr/sbin"}
LINKS = {
    **{
        f"usr/sbin/{family}{verb}": "xtables-nft-multi"
        for family in ("iptables", "ip6tables")
        for verb in ("", "-save", "-restore")
    },
    "usr/bin/python3": "python3.11",
    "etc/mtab": "/proc/self/mounts",
    "etc/resolv.conf": "/run/resolv.conf",
    **{name: f"usr/{name}" for name in MERGED},
}
TEXTS = {
    "etc/passwd": "root:*:0:0:root:/run:/usr/sbin/nologin\nhaproxy:*:901:901::/run:/usr/sbin/nologin\n"
    "nobody:*:65534:65534::/nonexistent:/usr/sbin/nologin\n",
    "etc/group": "root:*:0:\ntty:*:5:\nhaproxy:*:901:\nnogroup:*:65534:\n",
    "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    "etc/hostname": "guest\n",
    "etc/hosts": "127.0.0.1 localhost guest k1\n",
}
MOUNTED = ("dev", "proc", "run", "sys", "tmp", "var", "mnt", "root")
"""Empty folders that something is mounted on."""


def unpack(packages: Iterable[Path], root: Path) -> None:
    """All files of *packages* under the empty folder *root*, but what is left out."""
    for package in packages:
        argv = ["dpkg-deb", "--fsys-tarfile", str(package)]
        with subprocess.Popen(argv, stdout=subprocess.PIPE) as reading:  # noqa: S603 - dpkg's own
            assert reading.stdout is not None
            try:
                extract(reading.stdout, root)
            except tarfile.TarError as error:
                raise NotBuildable(f"{package.name} is no Debian package: {error}") from error
            while reading.stdout.read(_CHUNK):
                pass  # what follows an archive's end: whoever writes it must not find the pipe closed
        if reading.returncode:
            raise NotBuildable(f"{package.name} is no Debian package")


def extract(stream: IO[bytes], root: Path) -> None:
    """The members of a tar archive that the guest has a use for, without owners, times and special files."""
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            name = _merged(member.name)
            if not name.parts or left_out(name):
                continue
            as_data = DATA.get(str(name))
            target = _inside(root, PurePosixPath(as_data) if as_data else name)
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.unlink(missing_ok=True)
            if member.issym():
                _link(target, member.linkname)
            elif member.islnk():
                _same(_inside(root, _merged(member.linkname)), target, member.mode & 0o777)
            elif member.isreg() and (content := archive.extractfile(member)) is not None:
                put(target, content.read(), 0o444 if as_data else member.mode & 0o777)
            else:
                raise NotBuildable(f"/{name} is neither a file, a folder nor a link")


def left_out(name: PurePosixPath) -> bool:
    """Whether the guest does without this path of a package."""
    if str(name.parent) in PROGRAM_FOLDERS and name.name in DOORS:
        return True
    return any(name.is_relative_to(part) for part in DROPPED)


def complete(root: Path) -> None:
    """What packages' scripts would have written: links, accounts without passwords, certificates."""
    for name, target in LINKS.items():
        _link(root / name, target)
    for name, text in TEXTS.items():
        put(root / name, text.encode())
    certificates = sorted((root / "usr/share/ca-certificates").rglob("*.crt"))
    put(root / "etc/ssl/certs/ca-certificates.crt", b"".join(path.read_bytes() for path in certificates))
    for name in MOUNTED:
        (root / name).mkdir(exist_ok=True)
    run(["/sbin/ldconfig", "-r", str(root), "-C", "/etc/ld.so.cache"], {"LC_ALL": "C"})


def _merged(text: str) -> PurePosixPath:
    """The path inside the root, with usr before what is merged into it."""
    path = PurePosixPath("/", text).relative_to("/")
    if ".." in path.parts:
        raise NotBuildable(f"{text} leads out of the root")
    return PurePosixPath("usr", path) if path.parts and path.parts[0] in MERGED else path


def _inside(root: Path, name: PurePosixPath) -> Path:
    """Where a member lies; NotBuildable where a link that an earlier one made leads it out of the root."""
    target = root / name
    if not target.parent.resolve().is_relative_to(root.resolve()):
        raise NotBuildable(f"/{name} leads out of the root, by a link")
    return target


def _same(source: Path, target: Path, mode: int) -> None:
    """What a hard link stands for: the file, or the link itself and not what it leads to."""
    if source.is_symlink():
        _link(target, os.readlink(source))
    else:
        put(target, source.read_bytes(), mode)


def _link(path: Path, target: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.unlink(missing_ok=True)
    path.symlink_to(target)
