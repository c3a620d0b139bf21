#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# HAProxy 2.6 loses its stick tables at a reload in its first five seconds. Not part of CI; needs Debian 12.
#
# Version:     haproxy 2.6.12 of Debian 12 in master-worker mode, with a `peers` section whose only peer is itself.
# Expectation: a reload keeps the table: the manual says that the new process learns all entries from the old one
#              through the local peer.
# Behaviour:   so it does once the old process holds itself to be in step: after a lesson of its own, or after it has
#              waited five seconds in vain for one, also where there is no other peer to teach it. A process that
#              began less than five seconds ago hands nothing on, and nothing in its log says so.
# Output seen: reload 0 s after the start: 1 entry before, 0 after
#              reload 8 s after the start: 1 entry before, 1 after
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
master=
trap '[ -z "$master" ] || kill "$master" 2> /dev/null; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq haproxy=2.6.12* liblua5.3-0 libopentracing-c-wrapper0 libopentracing1 libpcre2-posix3 2> apt.log
for package in *.deb; do dpkg-deb -x "$package" root; done
export LD_LIBRARY_PATH=$PWD/root/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH 2> /dev/null || echo x86_64-linux-gnu)
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
cat > haproxy.cfg <<END
global
  stats socket $PWD/stats.sock mode 600 level admin expose-fd listeners
  localpeer me
defaults
  mode http
  timeout client 5s
  timeout server 5s
  timeout connect 5s
peers itself
  peer me unix@$PWD/peer.sock
frontend web
  bind unix@$PWD/web.sock
  stick-table type string len 32 size 100 expire 1h store gpc0 peers itself
  http-request track-sc0 req.hdr(X-Caller)
  http-request return status 200
END
entries() {
  python3 - "$PWD/stats.sock" <<'END'
import socket, sys
with socket.socket(socket.AF_UNIX) as line:
    line.connect(sys.argv[1])
    line.sendall(b"show table web\n")
    print(b"".join(iter(lambda: line.recv(4096), b"")).count(b"key=me "))
END
}
workers() { pgrep -P "$master" || true; }
look() {
  root/usr/sbin/haproxy -W -f haproxy.cfg -p master.pid > haproxy.log 2>&1 &
  master=$!
  for _ in $(seq 100); do [ -S web.sock ] && [ -S stats.sock ] && break; sleep 0.1; done
  sleep "$1"
  curl -s -o answer --unix-socket web.sock -H 'X-Caller: me' http://web/
  before=$(entries) first=$(workers)
  kill -USR2 "$master"
  for _ in $(seq 200); do [ -n "$(workers)" ] && ! workers | grep -q "^$first$" && break; sleep 0.1; done
  sleep 1
  after=$(entries)
  echo "reload $1 s after the start: $before entry before, $after after"
  kill "$master"; wait "$master" || true
  rm -f ./*.sock
}
early=$(look 0) late=$(look 8)
echo "$early"; echo "$late"
if [[ $early == *"1 entry before, 0 after" && $late == *"1 entry before, 1 after" ]]; then
  echo "as described: a young process hands nothing on"
else
  echo "no longer so" >&2
  exit 1
fi
