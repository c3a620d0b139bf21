#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// The npm compiler (solcjs, exact version in package.json) behind the two calls that forge,
// py-solc-x and slither make of a native solc: `--version` and `--standard-json`.
// solcjs' own command line cannot serve: it prints a notice before the JSON.
"use strict";
const fs = require("fs");
const path = require("path");
const solc = require("solc");

const args = process.argv.slice(2);

function optionValue(name, fallback) {
  const at = args.indexOf(name);
  return at < 0 ? fallback : args[at + 1];
}

function readImport(file) {
  const base = optionValue("--base-path", __dirname);
  for (const folder of [base, path.join(__dirname, "node_modules")]) {
    const full = path.resolve(folder, file);
    if (fs.existsSync(full)) return { contents: fs.readFileSync(full, "utf8") };
  }
  return { error: `not found: ${file}` };
}

if (args.includes("--version")) {
  console.log("solc, the solidity compiler commandline interface\nVersion: " + solc.version());
} else if (args.includes("--standard-json")) {
  process.stdout.write(solc.compile(fs.readFileSync(0, "utf8"), { import: readImport }));
} else {
  console.error("solc-wrapper: only --version and --standard-json are known, not: " + args.join(" "));
  process.exit(2);
}
