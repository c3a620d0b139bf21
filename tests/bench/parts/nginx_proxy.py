# SPDX-License-Identifier: Apache-2.0
"""nginx as a proxy with rules like the facade's, in front of a pod at a port of loopback.

Like the facade it leads a host of a map to its pod over kept connections and refuses any other, bounds the
connections of an address and of a host, the size of headers and bodies and how long each may take, and
tells the pod address, scheme, host and port of who asks, whatever he says of himself.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.provider.facade.parts import HOST, free_port

START_LIMIT_S = 10

_CONF = """\
user root;
worker_processes 1;
daemon off;
pid {folder}/proxy.pid;
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
  large_client_header_buffers 4 32k;
  client_max_body_size 64m;
  client_header_timeout 10s;
  client_body_timeout 60s;
  server_tokens off;
  limit_conn_zone $binary_remote_addr zone=address:10m;
  limit_conn_zone $pod zone=pod:10m;
  limit_conn_status 503;
  map $http_upgrade $connection_upgrade {{ default upgrade; '' ''; }}
  map $host $pod {{ hostnames; {host} pod1; }}
  upstream pod1 {{ server 127.0.0.1:{pod}; keepalive 256; keepalive_requests 1000000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    limit_conn address 1024;
    limit_conn pod 1024;
    location / {{
      if ($pod = '') {{ return 404; }}
      proxy_pass http://$pod;
      proxy_http_version 1.1;
      proxy_max_temp_file_size 0;
      proxy_connect_timeout 5s;
      proxy_read_timeout 3600s;
      proxy_set_header Host $http_host;
      proxy_set_header Upgrade $http_upgrade;
      proxy_set_header Connection $connection_upgrade;
      proxy_set_header Forwarded '';
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Real-IP $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header X-Forwarded-Host $http_host;
      proxy_set_header X-Forwarded-Port $server_port;
    }}
  }}
}}
"""


@contextmanager
def nginx_proxy(folder: Path, pod: int) -> Iterator[tuple[int, int, str]]:
    """Debian's nginx while the block runs: the process that serves, its port, the host of *pod*."""
    port, conf = free_port(), folder / "proxy.conf"
    conf.write_text(_CONF.format(folder=folder, port=port, pod=pod, host=HOST))
    process = subprocess.Popen(["nginx", "-c", str(conf)], stdin=subprocess.DEVNULL)
    try:
        _wait_until_it_listens(process, port)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        (worker,) = (int(pid) for pid in children)
        yield worker, port, HOST
    finally:
        process.terminate()
        process.wait()


def _wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + START_LIMIT_S
    while True:
        assert process.poll() is None, "nginx has ended"
        assert time.monotonic() < deadline, "nginx does not listen"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
