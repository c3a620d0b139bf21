#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A text that ruamel.yaml read where an alias stood brings the anchor along into whatever document it is written
# to. Not part of CI; needs Python 3.11.
#
# Version:     ruamel.yaml 0.19.1, its round-trip loader and dumper.
# Expectation: anchors belong to a document: a text taken out of one, and put into a new tree of plain
#              dictionaries, is written as any other text.
# Behaviour:   the text is an object of its own kind that holds its anchor and that the anchor is always to be
#              written. The new document has `&image` before it, and `*image` where the same text comes again. A
#              converter that builds its result from what it read writes anchors that nobody asked for.
# Output seen: one: &image registry/app:1 / two: *image
#
# Here:        manifests/convert makes plain texts of what it reads before it writes them.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check ruamel.yaml==0.19.1
cat > look.py <<'END'
import io

from ruamel.yaml import YAML

read = YAML().load("x-image: &image registry/app:1\nservices:\n  a: {image: *image}\n  b: {image: *image}\n")
written = io.StringIO()
services = read["services"]
YAML().dump({"one": services["a"]["image"], "two": services["b"]["image"]}, written)
print(written.getvalue(), end="")
raise SystemExit(0 if written.getvalue() == "one: &image registry/app:1\ntwo: *image\n" else 1)
END
if env/bin/python look.py; then
  echo "as described: the anchor came along"
else
  echo "no longer so" >&2
  exit 1
fi
