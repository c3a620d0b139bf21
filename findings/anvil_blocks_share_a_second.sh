#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# anvil 1.7.1 gives blocks of one second the same time. Not part of CI; needs npm and node on x86-64 Linux, no root.
#
# Version:     @foundry-rs/anvil-linux-amd64 1.7.1, as contracts/package.json pins it; no option but the port.
# Expectation: a block is later than its parent, by a second at least: Ethereum's rule for a header (Yellow Paper,
#              section "Block Header Validity": H_s > P(H)H_s), which every consensus client and geth's checks hold.
#              A contract may rely on it: what was written at `block.timestamp` is before the next block.
# Behaviour:   each transaction makes a block at once, and blocks that are made within one second all carry it.
#              So a contract that is safe on Ethereum may fail on anvil, and one that fails may pass: "strictly later"
#              never holds between two transactions that are sent one after the other.
# Output seen: seconds since the first block: 0 2 2 2 2 2 2 2 2 3 3 3 3   (they differ from run to run)
# Here:        tests that need a later block move the chain's time themselves.
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
const { readFileSync } = require("fs");
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
let url;
const ask = async (method, params = []) => {
  const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
  const answer = await fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body });
  const { result, error } = await answer.json();
  if (error) throw new Error(error.message);
  return result;
};
const listening = async () => {
  for (let tries = 0; tries < 100; tries++, await pause(100)) {
    const found = readFileSync("log", "utf8").match(/Listening on (\S+)/);
    if (found) return `http://${found[1]}`;
  }
  throw new Error("anvil does not listen");
};
(async () => {
  url = await listening();
  const [from] = await ask("eth_accounts");
  for (let i = 0; i < 12; i++) await ask("eth_sendTransaction", [{ from, to: from, value: "0x1" }]);
  const times = [];
  for (let n = 0; n <= 12; n++) {
    times.push(Number((await ask("eth_getBlockByNumber", [`0x${n.toString(16)}`, false])).timestamp));
  }
  console.log("seconds since the first block:", ...times.map((time) => time - times[0]));
  process.exit(times.slice(1).some((time, n) => time === times[n]) ? 0 : 1);
})();
END
"$program" --port 0 --accounts 1 > log &
anvil=$!
if node look.js; then
  echo "as described: blocks share a second"
else
  echo "no longer so: each block is later than its parent"
  exit 1
fi
