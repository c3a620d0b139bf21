# SPDX-License-Identifier: Apache-2.0
"""Images of Debian's databases: its own binaries, what they load, and a shell to start them with."""

from pathlib import Path

from oci import Entry, Image
from recipes import HERE, NOBODY, Recipe, hash_of, of_debian, run, shell

PGBIN = "usr/lib/postgresql/15/bin"

_PROGRAMS = ("postgres", "initdb", "psql", "pg_dump", "pg_dumpall", "pg_restore", "pg_isready")
_LIBRARIES = (
    "libaudit", "libcap-ng", "libcap", "libcom_err", "libcrypto", "libc", "libffi", "libgcc_s",
    "libgcrypt", "libgmp", "libgnutls", "libgpg-error", "libgssapi_krb5", "libhogweed", "libicudata",
    "libicui18n", "libicuuc", "libidn2", "libk5crypto", "libkeyutils", "libkrb5", "libkrb5support",
    "liblber-2.5", "libldap-2.5", "liblz4", "liblzma", "libm", "libnettle", "libp11-kit", "libpam",
    "libpq", "libreadline", "libresolv", "libsasl2", "libssl", "libstdc++", "libsystemd", "libtasn1",
    "libtinfo", "libunistring", "libxml2", "libz", "libzstd",
)  # fmt: skip
"""All that the programs load, by ldd."""

_KEEP = (
    *(f"{PGBIN}/{program}" for program in _PROGRAMS),
    "usr/lib/postgresql/15/lib/plpgsql.so",
    "usr/lib/postgresql/15/lib/dict_snowball.so",
    "usr/share/postgresql/15/*",
    "usr/share/zoneinfo/*",
    "lib64/ld-linux-x86-64.so.2",
    "*lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    *(f"*lib/x86_64-linux-gnu/{library}.so.*" for library in _LIBRARIES),
    "usr/share/doc/postgresql-15/copyright",
)
_USERS = f"postgres:x:{NOBODY}:{NOBODY}::/tmp:/bin/sh\n"
"""PostgreSQL starts for nobody without a name."""


def _postgres() -> Image:
    """PostgreSQL 15 of Debian; its data under /data, the password of `postgres` in /keys/password."""
    kept = of_debian("postgres", "postgresql-15", _KEEP)
    ours = {
        "etc/passwd": Entry(_USERS.encode(), mode=0o644),
        "bin/run-postgres": Entry((HERE / "postgres" / "run-postgres").read_bytes()),
    }
    return Image(
        "docker.io/local/postgres:15",
        [shell(), kept, ours],
        entrypoint=["/bin/run-postgres"],
        environment=[f"PATH=/{PGBIN}:/bin", "PGHOST=/tmp", "PGUSER=postgres"],
        user=f"{NOBODY}:{NOBODY}",
        ports=[5432],
        stop_signal="SIGINT",
    )


def _versions() -> str:
    """What apt knows; a new version makes a new image."""
    return run("apt-cache", "madison", "postgresql-15", "libc6", "libssl3", "libicu72", "libpq5")


RECIPES = {
    "postgres": Recipe(_postgres, lambda: hash_of(Path(__file__), HERE / "postgres", _versions())),
}
