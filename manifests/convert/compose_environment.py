# SPDX-License-Identifier: Apache-2.0
"""`environment` and `env_file` of a Compose service, and the project's own variables.

Source of the format: the Compose specification, "services" (environment, env_file) and "interpolation".
"""

from collections.abc import Mapping

from trustedpods.manifests.convert.findings import Findings
from trustedpods.manifests.convert.values import flag, text_of
from trustedpods.manifests.convert.variables.dotenv import read_dotenv
from trustedpods.manifests.convert.variables.template import TemplateError
from trustedpods.manifests.problem import Location
from trustedpods.protocol.errors import BadInput

DOTENV = ".env"
"""Of the project's variables, where a person names no other file."""


def set_variables(text: str, where: str, found: Findings) -> None:
    """Add the variables of a project's file, over those of files before it; the shell's go before all.

    Raises `BadInput` for a file that is none.
    """

    def known(name: str) -> str | None:
        return found.variables.peek(name)

    read = read_dotenv(text, where, known)
    for name in read.unset:
        found.note(f"{where} uses ${name}, which is not set: it is nothing there")
    found.variables.files |= {name: (value, where) for name, value in read.values.items()}


def tell_variables(found: Findings) -> None:
    """Note which variables stand in the manifest now, and from where; such a manifest is private."""
    for source, names in found.variables.taken.items():
        found.private = True
        found.note(f"from {source}, written into the manifest: {', '.join(names)}")


def environment_of(service: Mapping[str, object], at: Location, found: Findings) -> dict[str, str]:
    """`env_file`, then `environment` over it, as Compose does."""
    values: dict[str, str] = {}
    files = service.get("env_file")
    one = isinstance(files, str)
    for index, entry in enumerate([files] if one else found.items(files, (*at, "env_file"))):
        where = (*at, "env_file") if one else (*at, "env_file", index)
        values |= _named_file(entry, where, found)
    given, where = service.get("environment"), (*at, "environment")
    if isinstance(given, list):
        for index, entry in enumerate(given):
            name, sign, value = text_of(entry, (*where, index), found).partition("=")
            _set(values, name, value if sign else None, found)
        return values
    for name, one_value in found.mapping(given, where).items():
        said = None if one_value is None else text_of(one_value, (*where, name), found)
        _set(values, name, said, found)
    return values


def _set(values: dict[str, str], name: str, value: str | None, found: Findings) -> None:
    """A name without a value is the shell's, or `.env`'s; where those have none it is not in the pod."""
    if value is None:
        value = found.variables.value(name)
    if value is None:
        found.note(f"${name} is not set, so it is not in the pod")
        values.pop(name, None)
    else:
        values[name] = value


def _named_file(entry: object, at: Location, found: Findings) -> dict[str, str]:
    """The variables of one entry of `env_file`, in its short or its long form."""
    if not isinstance(entry, Mapping):
        return _read(text_of(entry, at, found), at, found)
    for key in entry:
        if key not in ("path", "required", "format"):
            found.refuse((*at, str(key)), "leave it out: a file has `path`, `required` and `format`")
    path = text_of(entry.get("path"), (*at, "path"), found)
    needed = flag(entry.get("required", True), (*at, "required"), found)
    form = text_of(entry.get("format", ""), (*at, "format"), found)
    if form not in ("", "raw"):
        found.refuse((*at, "format"), "write raw, or leave it out")
        return {}
    return _read(path, at, found, needed=needed, raw=form == "raw")


def _read(
    path: str, at: Location, found: Findings, *, needed: bool = True, raw: bool = False
) -> dict[str, str]:
    if not path or found.leads_out(path, at):
        return {}
    if found.around.kind(path) != "file":
        if needed:
            found.refuse(at, f"there is no file {path} here; `required: false` does without it")
        else:
            found.note(f"there is no file {path} here, and it is not required")
        return {}
    text = found.around.text(path)
    values = _raw(text) if raw else _expanded(text, path, at, found)
    found.private = True
    found.note(f"the variables of {path} stand in the manifest now; keep what is secret in a secret volume")
    return values


def _expanded(text: str, path: str, at: Location, found: Findings) -> dict[str, str]:
    try:
        read = read_dotenv(text, path, found.variables.value)
        found.variables.spend(sum(map(len, read.values.values())))
    except (BadInput, TemplateError) as error:
        found.refuse(at, str(error))
        return {}
    for name in read.unset:
        found.note(f"{path} uses ${name}, which is not set: it is nothing there")
    return dict(read.values)


def _raw(text: str) -> dict[str, str]:
    """`format: raw`: lines as they are, without quotes and variables."""
    lines = (line.partition("=") for line in text.splitlines() if not line.lstrip().startswith("#"))
    return {name.strip(): value for name, sign, value in lines if sign}
