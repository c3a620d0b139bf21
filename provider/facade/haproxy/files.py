# SPDX-License-Identifier: Apache-2.0
"""The files that HAProxy reads: written whole, so that nobody sees half of one."""

import time
from pathlib import Path

from trustedpods.protocol.errors import NoContext
from trustedpods.protocol.whole_file import private_folder, replace_whole
from trustedpods.provider.facade.certificates import throwaway, utc
from trustedpods.provider.facade.haproxy import affinity, bodies, requests, unread
from trustedpods.provider.facade.haproxy.config import FacadeConfig, crt_list, page_files
from trustedpods.provider.facade.haproxy.maps import OF_A_SLOT, SlotMap, map_text, parse_map_text
from trustedpods.provider.facade.haproxy.text import haproxy_config


def install(config: FacadeConfig, haproxy_cfg: Path) -> None:
    """Write haproxy.cfg, the pages and, where there is none yet, empty maps.

    Makes the folders, for this user alone. NoContext if something cannot be written.
    """
    try:
        for folder in (config.runtime_socket.parent, config.activator_dir, config.pages_dir):
            private_folder(folder)
    except OSError as failed:
        raise NoContext(f"cannot make a folder: {failed}", where="facade") from None
    for path, page in page_files(config).items():
        replace_file(path, page)
    replace_file(affinity.lua_path(config), affinity.lua().encode())
    replace_file(bodies.lua_path(config), bodies.LUA.encode())
    replace_file(requests.lua_path(config), requests.lua(config).encode())
    replace_file(unread.lua_path(config), unread.lua().encode())
    challenges = (config.challenge_map,) if config.challenges else ()
    asking = SlotMap.ASKING.beside(config.map_file)
    if not asking.exists():
        replace_file(asking, map_text(_asked_before(config)).encode())
    maps = (
        config.map_file,
        *(which.beside(config.map_file) for which in SlotMap),
        config.public_map,
        *challenges,
    )
    for empty in maps:
        if not empty.exists():
            replace_file(empty, b"")
    if config.tls_dir is not None:
        _first_certificate(config.tls_dir)
    replace_file(haproxy_cfg, haproxy_config(config).encode())


def _asked_before(config: FacadeConfig) -> dict[str, str]:
    """Who asks for anything in maps of a version that had none of these: its limits hold from the start."""
    files = [which.beside(config.map_file) for which in OF_A_SLOT]
    return {backend: "1" for file in files for backend in parse_map_text(read_file(file))}


def _first_certificate(folder: Path) -> None:
    """HAProxy does not take TLS without any; the daemon brings the real one."""
    listed = crt_list(folder)
    if not listed.exists():
        file = folder / "provider.pem"
        replace_file(file, throwaway(utc(time.time())).pem)
        replace_file(listed, f"{file}\n".encode())


def read_file(path: Path) -> str:
    """The text of a file; empty if there is none. NoContext if it cannot be read."""
    try:
        return path.read_text() if path.exists() else ""
    except OSError as failed:
        raise NoContext(f"cannot read: {failed}", where=str(path)) from None


def replace_file(path: Path, data: bytes) -> None:
    """Put *data* in the place of the file at once and for good; NoContext if that fails."""
    try:
        if path.exists() and path.read_bytes() == data:
            return
        private_folder(path.parent)
        replace_whole(path, data)
    except OSError as failed:
        raise NoContext(f"cannot write: {failed}", where=str(path)) from None
