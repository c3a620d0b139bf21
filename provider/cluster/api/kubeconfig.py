# SPDX-License-Identifier: Apache-2.0
"""How to reach an API server, and as whom: read from a kubeconfig by Kubernetes' own library.

A token in a file of its own (`tokenFile`) the library reads once. Kubernetes writes such files anew, for a
pod's account once an hour, so it is read again here.
"""

import math
import re
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio
import yaml
from kubernetes.client.configuration import Configuration
from kubernetes.config import load_kube_config
from kubernetes.config.config_exception import ConfigException

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.protocol.limits import KIB
from trustedpods.protocol.whole_file import read_whole

READ_AGAIN_S = 60.0
"""A kubelet renews a pod's token when a fifth of its life is left, minutes before its end."""

_MAX_TOKEN = 64 * KIB
"""Bytes; a signed token has one or two KiB."""

_TOKEN = re.compile(rb"[!-~]+")
"""What a header takes."""


@dataclass(frozen=True, slots=True)
class Access:
    """The server's address, how to trust it, and the headers that say who asks.

    `headers` is asked before each call, because a token may have to be renewed.
    """

    server: str
    tls: ssl.SSLContext | bool
    headers: Callable[[], Awaitable[dict[str, str]]]


async def load(path: Path, context: str | None = None) -> Access:
    """Access by the kubeconfig at *path*; NoContext says what is wrong with it."""
    return await trio.to_thread.run_sync(partial(_load, path, context))


def _load(path: Path, context: str | None) -> Access:
    configuration = Configuration()
    try:
        load_kube_config(  # type: ignore[no-untyped-call]
            config_file=str(path), context=context, client_configuration=configuration, persist_config=False
        )
        tls = _tls(configuration)
    except (ConfigException, yaml.YAMLError, OSError, ValueError, TypeError, KeyError) as error:
        raise NoContext(f"kubeconfig cannot be used: {error}", where=str(path)) from error
    file = _token_file(path, context)
    headers = partial(_headers, configuration) if file is None else TokenFile(file).headers
    return Access(str(configuration.host).rstrip("/"), tls, headers)


def _token_file(path: Path, context: str | None) -> Path | None:
    """The file of the user's token, of a kubeconfig that Kubernetes' library took."""
    tree = yaml.safe_load(path.read_bytes())
    name = context or tree["current-context"]
    user = next(one["context"].get("user") for one in tree["contexts"] if one["name"] == name)
    settings = next((one["user"] for one in tree.get("users") or () if one["name"] == user), None)
    file = (settings or {}).get("tokenFile")
    return path.parent / file if file else None


class TokenFile:
    """A token that somebody writes anew now and then."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._headers: dict[str, str] = {}
        self._read_at = -math.inf

    async def headers(self) -> dict[str, str]:
        """The Authorization header; the last one that was read while the file has none. NoContext before."""
        if trio.current_time() - self._read_at >= READ_AGAIN_S:
            try:
                token = await trio.to_thread.run_sync(self._token)
            except BadInput as error:
                if not self._headers:
                    raise NoContext(error.what, where=str(self._path)) from None
            else:
                self._headers = {"authorization": f"Bearer {token}"}
                self._read_at = trio.current_time()
        return dict(self._headers)  # a caller adds headers of its own question

    def _token(self) -> str:
        """BadInput also where it is none: a file that is written in place is empty for a moment."""
        token = read_whole(self._path, _MAX_TOKEN, "the token").strip()
        if not _TOKEN.fullmatch(token):
            raise BadInput("the file holds no token, which is one word", where=str(self._path))
        return token.decode()


def _tls(configuration: Configuration) -> ssl.SSLContext | bool:
    if not str(configuration.host).startswith("https:"):
        return False
    context = ssl.create_default_context(cafile=configuration.ssl_ca_cert)
    if not configuration.verify_ssl:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if configuration.cert_file:
        context.load_cert_chain(configuration.cert_file, configuration.key_file)
    return context


async def _headers(configuration: Configuration) -> dict[str, str]:
    """The Authorization header, if the kubeconfig has a token or a plugin that makes one."""
    if configuration.refresh_api_key_hook is None and not configuration.api_key:
        return {}
    settings = await trio.to_thread.run_sync(configuration.auth_settings)
    token = settings.get("BearerToken")
    return {"authorization": str(token["value"])} if token else {}
