# SPDX-License-Identifier: Apache-2.0
"""Writing TOML: what our own configuration files need of it. Pure."""

from collections.abc import Mapping

from trustedpods.provider.setup.toml.commented import toml_value


def toml_text(table: Mapping[str, object]) -> str:
    """A TOML document: plain values first, then each mapping as a table."""
    lines = [f"{key} = {toml_value(value)}" for key, value in table.items() if not isinstance(value, Mapping)]
    for name, inner in table.items():
        if isinstance(inner, Mapping):
            lines += ["", f"[{name}]", *(f"{key} = {toml_value(value)}" for key, value in inner.items())]
    return "\n".join([*lines, ""])
