# SPDX-License-Identifier: Apache-2.0
"""The user's one configuration file: named contexts, each market, key, payer, policy and clusters.

It holds what its user wrote into it by `trustedpods context`, and nothing that a verb found out by itself:
with the same market, key and clusters on the command line every verb does the same without it.
"""

import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from trustedpods.protocol.errors import BadInput
from trustedpods.protocol.whole_file import private_folder, read_whole, replace_whole

CONFIG_FILE = "config.toml"

MAX_SETTINGS_FILE = 64 * 1024
"""A page of settings and two certificates, or some hundred contexts."""

_TEXTS = ("market", "key", "policy", "payer")
_MAP = "clusters"


@dataclass(frozen=True, slots=True)
class Context:
    """One named context. `clusters` maps a cluster's name to its provider, as OWNER or OWNER/N."""

    name: str
    market: str | None = None
    key: str | None = None
    policy: str | None = None
    clusters: Mapping[str, str] = field(default_factory=dict)
    payer: str | None = None


@dataclass(frozen=True, slots=True)
class Contexts:
    """All contexts of a user, and which one holds now."""

    path: Path
    current: str | None = None
    named: Mapping[str, Context] = field(default_factory=dict)

    @property
    def chosen(self) -> Context | None:
        """The context that holds now."""
        return None if self.current is None else self.named[self.current]

    def using(self, context: Context) -> "Contexts":
        """The same with *context*, new or changed, as the one that holds."""
        return replace(self, current=context.name, named={**self.named, context.name: context})


def config_dir(environment: Mapping[str, str]) -> Path:
    """The user's folder of settings: $XDG_CONFIG_HOME/trustedpods or ~/.config/trustedpods."""
    base = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "/") / ".config")
    return Path(base) / "trustedpods"


def load_contexts(environment: Mapping[str, str]) -> Contexts:
    """What is in the configuration file; nothing where there is none. `BadInput` naming a wrong field."""
    path = config_dir(environment) / CONFIG_FILE
    if not path.exists():
        return Contexts(path)
    table = read_toml(path)
    if unknown := [name for name in table if name not in ("current", "contexts")]:
        raise BadInput(f"unknown field {unknown[0]!r}; there are: current, contexts", where=str(path))
    contexts = _table(table.get("contexts", {}), "contexts", path)
    named = {
        name: _context(name, _table(one, f"contexts.{name}", path), path) for name, one in contexts.items()
    }
    current = table.get("current")
    if current is not None and (not isinstance(current, str) or current not in named):
        raise BadInput(f"current names no context: {str(current)[:64]!r}", where=str(path))
    return Contexts(path, current, named)


def context_policy(environment: Mapping[str, str]) -> str | None:
    """The policy of the context that holds."""
    held = load_contexts(environment).chosen
    return None if held is None else held.policy


def save_contexts(contexts: Contexts) -> None:
    """Write the configuration file anew, whole or not at all. `BadInput` where it cannot be written."""
    lines = ["# Written by `trustedpods context`. A file that is named on the command line goes before it."]
    if contexts.current is not None:
        lines.append(f"current = {_quoted(contexts.current)}")
    for name, context in contexts.named.items():
        lines += ["", f"[contexts.{_quoted(name)}]"]
        values = {text: getattr(context, text) for text in _TEXTS}
        lines += [f"{text} = {_quoted(value)}" for text, value in values.items() if value is not None]
        if context.clusters:
            lines.append(f"[contexts.{_quoted(name)}.{_MAP}]")
            lines += [f"{_quoted(one)} = {_quoted(where)}" for one, where in context.clusters.items()]
    write_settings(contexts.path, ("\n".join(lines) + "\n").encode())


def write_settings(path: Path, data: bytes) -> None:
    """Put a file of settings in place, whole or not at all. `BadInput` where it cannot be written."""
    try:
        private_folder(path.parent)
        replace_whole(path, data)
    except OSError as error:
        raise BadInput(f"cannot write it: {error.strerror}", where=str(path)) from None


def read_toml(path: Path) -> dict[str, object]:
    """A file of settings; `BadInput` where it cannot be read, is too large, or no TOML."""
    return parse_toml(read_whole(path, MAX_SETTINGS_FILE), path)


def parse_toml(data: bytes, path: Path) -> dict[str, object]:
    """The same of what is, or would be, the file at *path*."""
    try:
        return tomllib.loads(data.decode())
    except (ValueError, RecursionError) as error:  # also of a number with too many digits
        raise BadInput(f"not valid TOML: {error}", where=str(path)) from None


def _context(name: str, table: Mapping[str, object], path: Path) -> Context:
    where = f"contexts.{name}"
    for key, value in table.items():
        if key not in (*_TEXTS, _MAP):
            raise BadInput(
                f"unknown field {where}.{key}; there are: market, key, policy, payer, clusters",
                where=str(path),
            )
        if key in _TEXTS and not isinstance(value, str):
            raise BadInput(f"{where}.{key} must be a text", where=str(path))
    clusters = _table(table.get(_MAP, {}), f"{where}.{_MAP}", path)
    for cluster, provider in clusters.items():
        if not isinstance(provider, str):
            raise BadInput(f"{where}.{_MAP}.{cluster} must be a text, OWNER or OWNER/N", where=str(path))
    texts = {text: str(table[text]) for text in _TEXTS if text in table}
    return Context(name, **texts, clusters={cluster: str(one) for cluster, one in clusters.items()})


def _table(value: object, name: str, path: Path) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise BadInput(f"{name} must be a table", where=str(path))
    return value


def _quoted(text: str) -> str:
    """A basic string of TOML: JSON's escapes are among its own, but for DEL."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
