# SPDX-License-Identifier: Apache-2.0
"""The image of Debian's Redis: its own binaries, what they load, and a shell to start them with."""

from pathlib import Path

from oci import Entry, Image
from recipes import HERE, NOBODY, Recipe, hash_of, of_debian, run, shell

_LIBRARIES = (
    "libatomic", "libcap", "libcrypto", "libc", "libgcc_s", "libgcrypt", "libgpg-error", "libjemalloc",
    "liblz4", "liblzf", "liblzma", "libm", "libssl", "libstdc++", "libsystemd", "libzstd",
)  # fmt: skip
"""All that the programs load, by ldd."""

_KEEP = (
    "usr/bin/redis-server",
    "usr/bin/redis-check-rdb",
    "usr/bin/redis-cli",
    "lib64/ld-linux-x86-64.so.2",
    "*lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    *(f"*lib/x86_64-linux-gnu/{library}.so.*" for library in _LIBRARIES),
    "usr/share/doc/redis-server/copyright",
    "usr/share/doc/redis-tools/copyright",
)


def _redis() -> Image:
    """Redis 7 of Debian; its data under /data, its password in /keys/password."""
    kept = of_debian("redis", "redis-server", _KEEP)
    scripts = {
        f"bin/{name}": Entry((HERE / "redis" / name).read_bytes()) for name in ("run-redis", "load-dump")
    }
    return Image(
        "docker.io/local/redis:7",
        [shell(), kept, scripts],
        entrypoint=["/bin/run-redis"],
        environment=["PATH=/usr/bin:/bin"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[6379],
    )


def _versions() -> str:
    """What apt knows; a new version makes a new image."""
    return run("apt-cache", "madison", "redis-server", "redis-tools", "libc6", "libssl3", "libjemalloc2")


RECIPES = {
    "redis": Recipe(_redis, lambda: hash_of(Path(__file__), HERE / "redis", _versions())),
}
