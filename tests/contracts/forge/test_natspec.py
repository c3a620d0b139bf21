# SPDX-License-Identifier: Apache-2.0
"""Everything that can be called, logged or answered says what it means, argument by argument.

Read from the compiler's own output, so that a tag that names no argument is an error already.
"""

import pytest

from trustedpods.contracts import compile as compiling
from trustedpods.contracts.compile import CONTRACTS, solc_output, source_hash

OUTPUTS = ("abi", "userdoc", "devdoc", "ast")


def signature(entry):
    return f"{entry['name']}({','.join(map(type_of, entry['inputs']))})"


def type_of(argument):
    """Canonical type: tuples spelled out."""
    kind = argument["type"]
    if not kind.startswith("tuple"):
        return kind
    return f"({','.join(map(type_of, argument['components']))}){kind.removeprefix('tuple')}"


def getters(output):
    """Public state variables: their arguments cannot be documented apart."""
    return {
        node["name"]
        for source in output["sources"].values()
        for contract in source["ast"]["nodes"]
        for node in contract.get("nodes", ())
        if node["nodeType"] == "VariableDeclaration" and node["visibility"] == "public"
    }


def gaps_of(entry, userdoc, devdoc, known_getters):
    """What the docs of one ABI entry lack."""
    kind = {"function": "methods", "event": "events", "error": "errors"}[entry["type"]]
    name = signature(entry)
    notice, details = userdoc.get(kind, {}).get(name), devdoc.get(kind, {}).get(name, {})
    if kind == "errors":
        notice, details = (notice or [None])[0], (details or [{}])[0]
    if not (notice or {}).get("notice"):
        yield f"{name}: no @notice"
    if entry["name"] in known_getters:
        return
    named = set(details.get("params", {}))
    for argument in entry["inputs"]:
        if argument["name"] not in named:
            yield f"{name}: no @param {argument['name']}"
    if len(details.get("returns", {})) < len(entry.get("outputs", ())):
        yield f"{name}: no @return for every answer"


@pytest.fixture(scope="module")
def told(request):
    """What the compiler tells of each contract; asked once for the same sources, settings and versions."""
    digest = source_hash(compiling._sources(), compiling._versions())
    key = f"natspec/{digest}-{'-'.join(OUTPUTS)}"
    found = request.config.cache.get(key, None)
    if found is None:
        found = contracts_told(solc_output(*OUTPUTS))
        request.config.cache.set(key, found)
    return found


def contracts_told(output):
    docs = {name: output["contracts"][f"src/{name}.sol"][name] for name in CONTRACTS}
    known = sorted(getters(output))
    return {
        name: {"getters": known} | {part: told[part] for part in ("abi", "userdoc", "devdoc")}
        for name, told in docs.items()
    }


@pytest.mark.parametrize("name", [name for name in CONTRACTS if name != "TestToken"])
def test_every_function_event_and_error_is_documented(told, name):
    compiled = told[name]
    inherited = {"eip712Domain", "EIP712DomainChanged"}  # OpenZeppelin's, documented there
    entries = [one for one in compiled["abi"] if one["type"] in ("function", "event", "error")]
    ours = [one for one in entries if one["name"] not in inherited and not foreign(one)]
    known = set(compiled["getters"])
    gaps = [gap for entry in ours for gap in gaps_of(entry, compiled["userdoc"], compiled["devdoc"], known)]
    assert len(ours) > 15
    assert gaps == []


def foreign(entry):
    """Errors of OpenZeppelin's libraries."""
    prefixes = ("ECDSA", "SafeERC20", "ReentrancyGuard", "InvalidShortString", "StringTooLong")
    return entry["type"] == "error" and entry["name"].startswith(prefixes)


def test_a_missing_tag_is_found():
    entry = {"type": "function", "name": "f", "inputs": [{"name": "a", "type": "uint256"}], "outputs": [{}]}
    said = {"methods": {"f(uint256)": {"notice": "n", "params": {}, "returns": {}}}}
    assert list(gaps_of(entry, said, said, set())) == [
        "f(uint256): no @param a",
        "f(uint256): no @return for every answer",
    ]
    assert next(iter(gaps_of(entry, {}, {}, set()))) == "f(uint256): no @notice"
