#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Importing web3 or eth_account lifts Python's recursion limit a hundredfold. Not part of CI; needs Python 3.11.
#
# Version:     py_ecc 8.0.0 and eth-keyfile 0.10.0, as eth-account 0.14.0 brings it along.
# Expectation: importing a library leaves the limits of the process as they are.
# Behaviour:   eth_account imports eth_keyfile, which imports py_ecc for keystores of validators alone; py_ecc
#              calls sys.setrecursionlimit(100000) when it is imported. From then on what is nested too deep is no
#              RecursionError any more: Python goes on until the stack of the thread is full.
# Output seen: before 1000, after 100000
#
# Here:        protocol/imports/stand_ins.py keeps py_ecc out until somebody uses such a keystore.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check py_ecc==8.0.0 eth-keyfile==0.10.0 eth-account==0.14.0
cat > look.py <<'END'
import sys

before = sys.getrecursionlimit()
import eth_account  # noqa: E402, F401

after = sys.getrecursionlimit()
print(f"before {before}, after {after}")
raise SystemExit(0 if (before, after) == (1000, 100_000) else 1)
END
if env/bin/python look.py; then
  echo "as described: the import changed a limit of the whole process"
else
  echo "no longer so" >&2
  exit 1
fi
