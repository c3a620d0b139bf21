#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Checks the tools that you bring yourself. Names everything that is missing, with the least
# version, and ends with 1; says nothing when all is there.
set -eu
python=${PYTHON:-python3}
missing=0

# at_least HAVE WANT: version comparison by sort
at_least() { [ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" = "$2" ]; }

# need NAME WANT HAVE HOW
need() {
    if [ -z "$3" ]; then
        echo "missing: $1 >= $2 ($4)" >&2
    elif ! at_least "$3" "$2"; then
        echo "too old: $1 $3, needed is >= $2 ($4)" >&2
    else
        return 0
    fi
    missing=1
}

need Go 1.26 "$(go env GOVERSION 2>/dev/null | sed 's/^go//; s/ .*//' || true)" "https://go.dev/dl"
need Node 20 "$(node --version 2>/dev/null | sed 's/^v//' || true)" "https://nodejs.org"
need npm 9 "$(npm --version 2>/dev/null || true)" "comes with Node"
need Python 3.11 "$("$python" -c 'import platform; print(platform.python_version())' 2>/dev/null || true)" \
    "https://python.org, or PYTHON=/path/to/python3 make setup"
need git 2 "$(git --version 2>/dev/null | sed 's/[^0-9.]*//g' || true)" "apt-get install git"
[ "$missing" = 0 ] || { echo "Install what is missing and run it again." >&2; exit 1; }
