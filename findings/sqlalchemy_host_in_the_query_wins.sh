#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A host in the query of SQLAlchemy's URL silently replaces the one before it. Not part of CI; needs Python 3.11.
#
# Version:     SQLAlchemy 2.1.9 and psycopg 3.3.9.
# Expectation: a URL that names two servers in two places is refused, or the usual place counts.
# Behaviour:   the query's `host` goes to the driver and `url.host` still says the other one. A program that looks
#              at `url.host` to decide something about the server, whether it is on this machine for instance,
#              decides it for one that is never asked.
# Output seen: url.host one.example, connected to two.example
#
# Here:        provider/store/engines/postgres.py looks at each place where the URL may name a host.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check SQLAlchemy==2.1.9 'psycopg[binary]==3.3.9'
cat > look.py <<'END'
from sqlalchemy import make_url

url = make_url("postgresql+psycopg://user@one.example/books?host=two.example")
_, asked = url.get_dialect()().create_connect_args(url)
print(f"url.host {url.host}, connected to {asked['host']}")
raise SystemExit(0 if (url.host, asked["host"]) == ("one.example", "two.example") else 1)
END
if env/bin/python look.py; then
  echo "as described: the query's host is asked"
else
  echo "no longer so" >&2
  exit 1
fi
