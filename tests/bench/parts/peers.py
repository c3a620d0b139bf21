# SPDX-License-Identifier: Apache-2.0
"""Other proxies to measure beside the facade: `--peer nginx`, or `--peer NAME=URL`.

`nginx` is Debian's package; the benchmark starts one on the node, in front of what the facade leads
to, with connections kept open on both sides and one worker for each core, as HAProxy has threads. A
proxy at a URL is somebody else's to start.
"""

import argparse
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from tests.live.localnet_fixture import LiveLocalnet
from trustedpods.localnet.network import connect, enter

NGINX = "nginx"
NGINX_AT = ("127.0.0.1", 18090)
"""On the node, whose network namespace is this localnet's alone."""
START_LIMIT_S = 10

# Without temporary files, since a download would go to disk whenever its reader is slower; without
# nginx's limit of 1,000 requests for each connection, which HAProxy does not have.
_NGINX_CONF = """\
user root;
worker_processes auto;
daemon off;
pid {folder}/nginx.pid;
error_log stderr error;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  keepalive_requests 1000000000;
  client_max_body_size 0;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  upstream origin {{ server {origin}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen {address}:{port} backlog=4096;
    location / {{
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_read_timeout 3600s;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Peer:
    """A proxy by its name; `url` is where one that is not ours to start takes requests."""

    name: str
    url: str | None = None

    @property
    def netloc(self) -> str:
        """Host and port of its URL."""
        assert self.url is not None
        return urlsplit(self.url).netloc


def peer(text: str) -> Peer:
    """What `--peer` says; ArgumentTypeError if it is neither a package known here nor NAME=URL."""
    if text == NGINX:
        return Peer(NGINX)
    name, _, url = text.partition("=")
    parts = urlsplit(url)
    if not name or parts.scheme != "http" or not parts.hostname:
        raise argparse.ArgumentTypeError(f"write {NGINX}, or NAME=http://HOST:PORT, not {text}")
    return Peer(name, url)


def nginx_conf(folder: Path, origin: str) -> str:
    """nginx.conf of a proxy in front of *origin* (ADDRESS:PORT)."""
    address, port = NGINX_AT
    return _NGINX_CONF.format(folder=folder, origin=origin, address=address, port=port)


@contextmanager
def nginx(market: LiveLocalnet, folder: Path, origin: str) -> Iterator[tuple[str, int]]:
    """Debian's nginx on the node while the block runs; where it listens."""
    conf, log = folder / "nginx.conf", folder / "nginx.log"
    conf.write_text(nginx_conf(folder, origin))
    command = [*enter(market.cluster().namespace), NGINX, "-p", str(folder), "-c", str(conf)]
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out)
    try:
        _until_it_listens(market, process, log)
        yield NGINX_AT
    finally:
        process.terminate()
        process.wait()


def _until_it_listens(market: LiveLocalnet, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        try:
            connect(market.cluster().namespace, *NGINX_AT, timeout=1).close()
        except OSError:
            assert process.poll() is None, f"nginx has ended: {log.read_text()}"
            assert time.monotonic() < deadline, "nginx does not listen"
            time.sleep(0.05)
        else:
            return
