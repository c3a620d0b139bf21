#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A dump that redis-cli writes to a pipe ends with 40 bytes that a dump in a file has not. Not part of CI; needs Debian 12.
#
# Version:     redis-server and redis-tools 7.0.15 of Debian 12; the server on loopback, without a disk of its own.
# Expectation: `redis-cli --rdb -` writes to its output what `redis-cli --rdb FILE` writes to a file: an RDB file,
#              whose last nine bytes are the end mark and the checksum.
# Behaviour:   a server that sends a dump without a disk ends it with a mark of 40 bytes. redis-cli cuts it off a file
#              afterwards; off a pipe it cannot, and does not hold it back either. `redis-check-rdb` takes the longer
#              one, so nobody notices who does not compare sizes or hashes.
# Output seen: to a file 193 bytes, through a pipe 233, 40 of them behind the end of the dump
#              [offset 193] \o/ RDB looks OK! \o/
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
server=
trap '[ -z "$server" ] || kill "$server"; rm -rf "$folder"' EXIT
cd "$folder"
apt-get download -qq redis-server=5:7.0.15* redis-tools=5:7.0.15* liblzf1 libjemalloc2 libatomic1 liblua5.1-0 \
  lua-cjson lua-bitop
for package in *.deb; do dpkg-deb -x "$package" root; done
libraries=$(dirname "$(find root -name 'liblzf.so*' | head -1)")
export LD_LIBRARY_PATH=$PWD/$libraries
socket=$PWD/redis.sock
root/usr/bin/redis-server --port 0 --unixsocket "$socket" --save '' --repl-diskless-sync yes \
  --repl-diskless-sync-delay 0 --dir "$PWD" > server.log 2>&1 &
server=$!
for _ in $(seq 100); do [ -S "$socket" ] && break; sleep 0.1; done
client=root/usr/bin/redis-cli
"$client" -s "$socket" set greeting hello > /dev/null
"$client" -s "$socket" --rdb file.rdb > /dev/null 2>&1
"$client" -s "$socket" --rdb - 2> /dev/null | cat > through.rdb
file=$(stat -c %s file.rdb) through=$(stat -c %s through.rdb)
echo "to a file $file bytes, through a pipe $through, $((through - file)) of them behind the end of the dump"
checked=$(root/usr/bin/redis-check-rdb through.rdb | grep "RDB looks OK" || true)
echo "$checked"
if [ $((through - file)) = 40 ] && [[ $checked == *"RDB looks OK"* ]]; then
  echo "as described: the mark of the transfer stays behind the dump"
else
  echo "no longer so" >&2
  exit 1
fi
