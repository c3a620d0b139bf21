#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Python's sqlite3 raises OverflowError, no error of its own, for an integer that SQLite cannot hold. Not part of CI;
# needs Python 3.11 or newer.
#
# Version:     the standard library of Python 3.11; SQLAlchemy 2.1.9 above it.
# Expectation: PEP 249: "DataError: errors that are due to problems with the processed data like ... numeric value out
#              of range", below DatabaseError; SQLAlchemy wraps what the driver raises in an error of its own.
# Behaviour:   binding 2**63 raises the built-in OverflowError. It is no sqlite3.Error, so `except sqlite3.Error` and
#              SQLAlchemy's `except SQLAlchemyError` both let it through; 2**63 - 1 is stored.
# Output seen: sqlite3, 2**63 - 1: stored
#              sqlite3, 2**63: OverflowError, a sqlite3.Error: False
#              sqlalchemy, 2**63: OverflowError, a SQLAlchemyError: False
# Here:        a generation from the network is bounded where its envelope is defined (protocol/envelopes.py), before any
#              statement.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check sqlalchemy==2.1.9
cat > look.py <<'END'
import sqlite3
import sys

from sqlalchemy import create_engine, text
from sqlalchemy.exc import SQLAlchemyError

MOST = 2**63 - 1


def plain(number):
    with sqlite3.connect(":memory:") as connection:
        return connection.execute("SELECT ?", (number,)).fetchone()[0]


def wrapped(number):
    with create_engine("sqlite://").connect() as connection:
        return connection.execute(text("SELECT :number"), {"number": number}).scalar_one()


assert plain(MOST) == wrapped(MOST) == MOST
print("sqlite3, 2**63 - 1: stored")
seen = []
for name, ask, base in (("sqlite3", plain, sqlite3.Error), ("sqlalchemy", wrapped, SQLAlchemyError)):
    try:
        ask(MOST + 1)
    except Exception as error:
        print(f"{name}, 2**63: {type(error).__name__}, a {base.__name__ if name != 'sqlite3' else 'sqlite3.Error'}: {isinstance(error, base)}")
        seen.append(type(error) is OverflowError)
    else:
        seen.append(False)
sys.exit(0 if all(seen) else 1)
END
env/bin/python look.py
