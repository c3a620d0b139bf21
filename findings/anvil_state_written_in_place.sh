#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# anvil 1.7.1 rewrites its state file in place. Not part of CI; needs npm and node on x86-64 Linux, no root.
#
# Version:     @foundry-rs/anvil-linux-amd64 1.7.1, as contracts/package.json pins it.
# Command:     anvil --state FILE --state-interval 1, a new chain with a block a second.
# Expectation: FILE always holds one whole state, written beside it and renamed: a chain whose node is killed
#              goes on from the last state.
# Behaviour:   FILE keeps its inode; every second it is cut to nothing and filled anew. Whoever reads it then, or
#              kills anvil then, has an empty file or the beginning of a state. anvil does not start with
#              that: "error: invalid value 'FILE' for '--state <PATH>': failed to parse json file: "FILE": EOF
#              while parsing a value at line 1 column 0", exit code 2, and the whole chain is lost.
# Output seen: changes 11, inodes 1, empty 73, half-written 5 (in 11 s; the last two are how often the reader
#              met such a file: they differ from run to run)
# Here:        deploy/localnet/market/chain_state.py keeps copies and chooses the newest that is whole.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
anvil=
trap '[ -z "$anvil" ] || { kill "$anvil"; wait "$anvil" || true; }; rm -rf "$folder"' EXIT
cd "$folder"
npm install --silent --no-audit --no-fund @foundry-rs/anvil-linux-amd64@1.7.1
program=node_modules/@foundry-rs/anvil-linux-amd64/bin/anvil
"$program" --version
cat > look.js <<'END'
const fs = require("fs");
const end = Date.now() + 60000;
const enough = () => inodes.size && changes.size > 10 && (empty || half);
const inodes = new Set(), changes = new Set();
let empty = 0, half = 0;
while (Date.now() < end && !enough()) {
  if (!fs.existsSync("state.json")) continue;
  const { ino, mtimeMs } = fs.statSync("state.json");
  inodes.add(ino);
  const text = fs.readFileSync("state.json", "utf8");
  try { JSON.parse(text); changes.add(Math.floor(mtimeMs / 1000)); } catch { text ? half++ : empty++; }
}
console.log(`changes ${changes.size}, inodes ${inodes.size}, empty ${empty}, half-written ${half}`);
process.exit(inodes.size === 1 && (empty || half) ? 0 : 1);
END
"$program" --port 0 --block-time 1 --accounts 1 --quiet --state state.json --state-interval 1 &
anvil=$!
if node look.js; then
  echo "as described: the state is rewritten in place"
else
  echo "no longer so: see whether deploy/localnet/market/chain_state.py is still needed"
  exit 1
fi
