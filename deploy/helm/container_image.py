# SPDX-License-Identifier: Apache-2.0
"""The image of the provider's containers: Debian's programs as they are, on them the package's own tree."""

import shutil
from collections.abc import Mapping
from fnmatch import fnmatchcase
from pathlib import Path

import staging
from oci import Entry, Image
from recipes import of_debian

PACKAGES = (
    "busybox-static", "ca-certificates", "coreutils", "dash", "docker-registry", "haproxy", "libgmp10",
    "python3",
)  # fmt: skip
"""What the Debian package depends on without systemd, and a shell. Pods of the provider's own run busybox."""

KEPT = ("usr/*", "etc/*", "*bin/*", "lib*")
UNUSED = ("usr/share/doc/*/changelog*", "usr/share/man/*", "usr/share/locale/*", "usr/share/info/*", "var/*")

MERGED = ("bin", "sbin", "lib", "lib64")
"""Debian's folders that are links into /usr once it is installed."""

AUTHORITIES = "usr/share/ca-certificates/"
BUNDLE = "etc/ssl/certs/ca-certificates.crt"
"""Made by Debian's script at an install, of all authorities; what is unpacked only has none."""

PATH = "PATH=/usr/lib/trusted-pods/bin:/usr/sbin:/usr/bin"

USERS = {
    "etc/passwd": b"root:x:0:0:root:/root:/usr/sbin/nologin\n",
    "etc/group": b"root:x:0:\n",
    "etc/nsswitch.conf": b"passwd: files\ngroup: files\nhosts: files dns\n",
}


def provider(root: Path, parts: staging.Parts, version: str, work: Path) -> Image:
    """The image of the checkout *root*; *work* is a folder for what is made on the way."""
    return Image(
        f"docker.io/local/trusted-pods-provider:{version}",
        [debian(of_debian("provider", ",".join(PACKAGES), KEPT)), own(root, parts, work / "image-tree")],
        environment=[PATH, "PYTHONDONTWRITEBYTECODE=1"],
        command=["trustedpods-provider", "--help"],
        stop_signal="SIGTERM",
    )


def debian(unpacked: Mapping[str, Entry]) -> dict[str, Entry]:
    """Debian's files below /usr and /etc as an install would leave them, less what no program reads."""
    kept = {
        _merged(path): entry
        for path, entry in unpacked.items()
        if not any(fnmatchcase(path, pattern) for pattern in UNUSED)
    }
    certificates = (
        entry.data for path, entry in sorted(kept.items()) if path.startswith(AUTHORITIES) and entry.data
    )
    kept |= {name: Entry(link=f"usr/{name}") for name in MERGED}
    kept |= {name: Entry(data, mode=0o644) for name, data in USERS.items()}
    kept[BUNDLE] = Entry(b"".join(certificates), mode=0o644)
    folders = ("etc/trustedpods", "etc/answers", "run/trustedpods", "var/lib/trustedpods", "root")
    return (
        kept
        | {name: Entry() for name in folders}
        | {"tmp": Entry(mode=0o1777), "var/run": Entry(link="/run")}
    )


def _merged(path: str) -> str:
    return f"usr/{path}" if path.partition("/")[0] in MERGED and "/" in path else path


def own(root: Path, parts: staging.Parts, tree: Path) -> dict[str, Entry]:
    """What the Debian package has below /usr, without what is systemd's."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    staging.stage(root, parts, tree)
    wanted = [*(tree / staging.HOME).rglob("*"), tree / "usr/bin" / staging.PROGRAM]
    found = {path.relative_to(tree).as_posix(): _entry(path) for path in wanted if _is_file(path)}
    shutil.rmtree(tree)
    return found


def _is_file(path: Path) -> bool:
    return path.is_symlink() or path.is_file()


def _entry(path: Path) -> Entry:
    if path.is_symlink():
        return Entry(link=str(path.readlink()))
    return Entry(path.read_bytes(), mode=path.stat().st_mode & 0o777)
