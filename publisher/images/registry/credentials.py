# SPDX-License-Identifier: Apache-2.0
"""Who a person is at a registry: what `docker login` keeps, in Docker's own file and its helpers."""

import base64
import binascii
import json
import os
import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.images.references import HUB
from trustedpods.protocol.images.strict_json import parse_object
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.whole_file import read_whole_or_none

HUB_KEY = "https://index.docker.io/v1/"
"""What Docker calls its own registry in the file and to helpers."""

MAX_FILE = 1 * MIB
"""Of Docker's file; real ones have a few KiB."""

HELPER_TIMEOUT_S = 60
"""A helper may ask a person to open a key ring."""

MAX_SECRET = 32 * 1024
"""Characters of a password or token; cloud providers' tokens have some 3000."""

_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_NO_NAME = "<token>"
"""A helper's user name of what is an identity token."""

_NOT_FOUND = "credentials not found"


@dataclass(frozen=True, slots=True)
class Credentials:
    """A name and a password, or, without a name, an identity token that is traded for others."""

    user: str
    secret: str

    def __repr__(self) -> str:
        """Without the secret: it must not reach a log."""
        return f"Credentials({self.user!r})"


def credentials_of(host: str, environment: Mapping[str, str] = os.environ) -> Credentials | None:
    """What Docker would say at the registry *host*; None where nobody logged in.

    As Docker does: the registry's own helper (`credHelpers`), else the common one (`credsStore`), else what
    stands in the file (`auths`). Raises `BadInput` for a file or a helper that cannot be used.
    """
    file = _file(environment)
    tree = _read(file)
    key = HUB_KEY if host == HUB else host
    helpers = tree.get("credHelpers")
    own = helpers.get(key) or helpers.get(host) if isinstance(helpers, dict) else None
    helper = own or tree.get("credsStore")
    if helper:
        return _of_helper(helper, key, file, environment)
    return _of_file(tree.get("auths"), host, file)


def _file(environment: Mapping[str, str]) -> Path:
    folder = environment.get("DOCKER_CONFIG") or Path(environment.get("HOME") or "/") / ".docker"
    return Path(folder) / "config.json"


def _read(file: Path) -> dict[str, Any]:
    data = read_whole_or_none(file, MAX_FILE, hint="`docker login` writes it anew")
    if data is None:
        return {}
    try:
        return parse_object(data, "Docker's settings") if data.strip() else {}
    except BadInput as error:
        raise BadInput(
            error.what, where=str(file), hint="mend it, or move it away and log in again"
        ) from None


def _of_file(auths: object, host: str, file: Path) -> Credentials | None:
    """The entry whose key is the host, with or without a scheme and a path, as older Dockers wrote it."""
    if not isinstance(auths, dict):
        return None
    wanted = {host, "index.docker.io"} if host == HUB else {host}
    keys = [key for key in auths if key == host] + [key for key in auths if _host_of(key) in wanted]
    for key in keys:
        entry = auths[key]
        if not isinstance(entry, dict):
            continue
        if token := entry.get("identitytoken"):
            return _checked("", token, file)
        if coded := entry.get("auth"):
            return _checked(*_decoded(coded, key, file), file)
        if entry.get("username") and entry.get("password"):
            return _checked(entry["username"], entry["password"], file)
    return None


def _host_of(key: str) -> str:
    return re.sub(r"^https?://", "", key).partition("/")[0]


def _decoded(coded: object, key: str, file: Path) -> tuple[str, str]:
    try:
        text = base64.b64decode(str(coded), validate=True).decode()
    except (binascii.Error, ValueError):
        text = ""
    user, colon, secret = text.rstrip("\0").partition(":")
    if not colon or not user:
        hint = f"`docker login {_host_of(key)[:128]}` writes it anew"
        raise BadInput(f"what is kept for {key[:128]!r} is damaged", where=str(file), hint=hint)
    return user, secret


def _checked(user: object, secret: object, file: Path) -> Credentials:
    if not isinstance(user, str) or not isinstance(secret, str) or len(user) + len(secret) > MAX_SECRET:
        raise BadInput("a name or a password in it is no text, or is too long", where=str(file))
    return Credentials(user, secret)


def _of_helper(helper: object, key: str, file: Path, environment: Mapping[str, str]) -> Credentials | None:
    """What `docker-credential-HELPER get` answers: the key on its input, JSON on its output."""
    if not isinstance(helper, str) or not _HELPER.fullmatch(helper):
        raise BadInput(f"not the name of a credential helper: {str(helper)[:64]!r}", where=str(file))
    program = f"docker-credential-{helper}"
    path = shutil.which(program, path=environment.get("PATH"))
    if path is None:
        raise BadInput(
            f"it says that {program} has the password for {key}, and that is not on PATH",
            where=str(file),
            hint="install it, or take `credsStore` and `credHelpers` out and `docker login` again",
        )
    try:
        done = subprocess.run(  # noqa: S603 - the person's own helper, found on his PATH
            [path, "get"], input=key.encode(), capture_output=True, timeout=HELPER_TIMEOUT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        what = f"it cannot be run, or did not answer in {HELPER_TIMEOUT_S} s"
        raise BadInput(what, where=program, hint="try it: `echo HOST | " + program + " get`") from None
    if done.returncode:
        said = (done.stdout + b" " + done.stderr).decode("utf-8", "replace").strip()
        if _NOT_FOUND in said:
            return None
        raise BadInput(f"it has no password for {key}: {said[:200]}", where=program)
    return _answered(done.stdout, program)


def _answered(data: bytes, program: str) -> Credentials:
    try:
        tree = json.loads(data[: 2 * MAX_SECRET])
        user, secret = tree["Username"], tree["Secret"]
    except (ValueError, TypeError, KeyError, RecursionError):
        raise BadInput("its answer has no Username and Secret", where=program) from None
    return _checked("" if user == _NO_NAME else user, secret, Path(program))
