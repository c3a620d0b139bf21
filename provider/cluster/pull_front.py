# SPDX-License-Identifier: Apache-2.0
"""How other nodes pull from the registry, which listens on one node's loopback: HAProxy before it. Pure.

TLS by the cluster's own authority, and for each repository a password that opens only that one. It is derived
(HMAC-SHA256 of the repository's name), so HAProxy checks it without a list and the daemon keeps none.
"""

from base64 import b64encode
from dataclasses import dataclass
from hashlib import sha256
from hmac import new as hmac

USER = "pull"

NODES_GROUP = "system:nodes"
"""Organization in a node's certificate: it may ask whether an image is still there, and not read it."""

_PATH = "^/v2/[a-z0-9][a-z0-9-]{0,62}/(manifests|blobs)/sha256:[0-9a-f]{64}$"
"""What a node pulls: by digest, in a repository with a pod's label. Nothing else is passed on, no list."""

_IDLE_S = 60
"""A node that takes no byte for so long has gone."""


@dataclass(frozen=True, slots=True)
class PullFront:
    """Where the front listens and what it has: *certificate* is a file with certificate and key."""

    bind: str
    certificate: str
    authority: str
    registry: str


def password(key: bytes, repository: str) -> str:
    """What opens the repository to a node, and no other one."""
    return hmac(key, repository.encode(), sha256).hexdigest().upper()


def haproxy_cfg(front: PullFront, key: bytes) -> str:
    """HAProxy's whole configuration. It holds the key: only its owner may read the file."""
    tls = f"ssl crt {front.certificate} alpn http/1.1 ca-file {front.authority} verify optional"
    return f"""global
  maxconn 256
  ssl-default-bind-options ssl-min-ver TLSv1.2

defaults
  mode http
  timeout connect 5s
  timeout client {_IDLE_S}s
  timeout server {_IDLE_S}s

frontend pulls
  bind {front.bind} {tls}
  acl by_digest path_reg {_PATH}
  acl known_node ssl_c_used
  acl known_node_group ssl_c_s_dn(O) -m str {NODES_GROUP}
  http-request deny deny_status 405 unless METH_GET
  http-request deny deny_status 404 unless by_digest
  http-request set-var(txn.password) path,field(3,/),hmac(sha256,{b64encode(key).decode()}),hex
  acl opens http_auth_pass,secure_memcmp(txn.password)
  http-request allow if {{ method HEAD }} known_node known_node_group
  http-request auth realm images unless opens
  http-request del-header authorization
  default_backend registry

backend registry
  server registry {front.registry}
"""


def hosts_toml(url: str, authority: str) -> str:
    """Containerd's `certs.d/REGISTRY/hosts.toml` on another node: the name leads to the front at *url*."""
    return f"""server = "{url}"

[host."{url}"]
  capabilities = ["pull", "resolve"]
  ca = "{authority}"
"""
