# SPDX-License-Identifier: Apache-2.0
"""How to reach an API server, and as whom: read from a kubeconfig by Kubernetes' own library."""

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

from trustedpods.protocol.errors import NoContext


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
    return Access(str(configuration.host).rstrip("/"), tls, partial(_headers, configuration))


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
