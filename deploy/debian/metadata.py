# SPDX-License-Identifier: Apache-2.0
"""What dpkg is told of the package: control, checksums, settings of the owner, licences, changes."""

import hashlib
import re
from datetime import UTC, datetime
from email.parser import HeaderParser
from pathlib import Path

from staging import DOC, SITE, compressed, put

SCRIPTS = ("preinst", "postinst", "prerm", "postrm")
SCHEMA = b"@SCHEMA@"
"""In `preinst`: the newest schema of the books that the package's daemon knows."""

MAINTAINER = re.compile(r"^Maintainer: (.*)$", re.MULTILINE)
NATIVE_CHANGES = """\
trusted-pods-provider ({version}) bookworm; urgency=medium

  * Release {version}. What changed is in CHANGELOG.md.gz of this folder.

 -- {maintainer}  {when}
"""

COPYRIGHT = """\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: Trusted Pods
Comment: Dependencies lie in {site}, each with its
 own licence texts and notices in NAME-VERSION.dist-info. Modules of Go that are
 linked into its three programs are in go-modules.gz beside this file, each with
 its licence texts.

Files: *
Copyright: 2026 the Trusted Pods developers
License: Apache-2.0
 On Debian systems the text of the Apache License, Version 2.0, is in
 /usr/share/common-licenses/Apache-2.0.
"""

OF_A_DEPENDENCY = """
Files: {files}
Copyright: {authors}
License: {licence}
 {name} {version}; texts in {site}/{info}
"""


def documents(root: Path, tree: Path, version: str, epoch: int) -> None:
    """Licences and changes, into the package's folder of documents."""
    control = (root / "deploy/debian/files/control").read_text()
    (maintainer,) = MAINTAINER.findall(control)
    when = datetime.fromtimestamp(epoch, UTC).strftime("%a, %d %b %Y %H:%M:%S +0000")
    changes = NATIVE_CHANGES.format(version=version, maintainer=maintainer, when=when)
    put(tree / DOC / "changelog.gz", compressed(changes.encode()))
    put(tree / DOC / "CHANGELOG.md.gz", compressed((root / "CHANGELOG.md").read_bytes()))
    put(tree / DOC / "NOTICE", (root / "NOTICE").read_bytes())
    put(tree / DOC / "copyright", copyright_file(tree / SITE).encode())


def copyright_file(site: Path) -> str:
    """Machine-readable (DEP 5): a stanza for each package in *site*."""
    stanzas = [COPYRIGHT.format(site=f"/{SITE}")]
    for info in sorted(site.glob("*.dist-info")):
        facts = HeaderParser().parsestr((info / "METADATA").read_text())
        if facts["Name"] != "trusted-pods":
            stanzas.append(
                _stanza(info.name, facts["Name"], facts["Version"], _licence(dict(facts)), _who(dict(facts)))
            )
    return "".join(stanzas)


def _stanza(info: str, name: str, version: str, licence: str, who: str) -> str:
    site = f"/{SITE}"
    files = f"{SITE!s}/{info}/RECORD"
    return OF_A_DEPENDENCY.format(
        files=files, authors=who, licence=licence, name=name, version=version, site=site, info=info
    )


def _licence(facts: dict[str, str]) -> str:
    """A short name: the expression, or the first words of the free text."""
    text = facts.get("License-Expression") or facts.get("License") or "see-its-texts"
    return "-".join(text.splitlines()[0].replace(",", "").split()[:4])


def _who(facts: dict[str, str]) -> str:
    who = (
        facts.get("Author")
        or facts.get("Author-email")
        or facts.get("Maintainer")
        or facts["Name"] + " authors"
    )
    return " ".join(who.split())


def control_files(root: Path, tree: Path, version: str) -> None:
    """The folder DEBIAN, from a tree that is whole."""
    files = [path for path in sorted(tree.rglob("*")) if path.is_file() and not path.is_symlink()]
    size = sum(_blocks(path) for path in tree.rglob("*"))
    source, target = root / "deploy/debian/files", tree / "DEBIAN"
    control = (source / "control").read_text().format(version=version, installed_size=size)
    sums = [f"{_md5(path)}  {path.relative_to(tree)}\n" for path in files]
    settings = [f"/{path.relative_to(tree)}\n" for path in files if path.is_relative_to(tree / "etc")]
    put(target / "control", control.encode())
    put(target / "md5sums", "".join(sums).encode())
    put(target / "conffiles", "".join(settings).encode())
    for script in SCRIPTS:
        text = (source / script).read_bytes().replace(SCHEMA, newest_schema(root).encode())
        put(target / script, text, 0o755)


def newest_schema(root: Path) -> str:
    """The number of the last script of migrations."""
    scripts = (root / "provider/store/migrations/versions").glob("[0-9]*.py")
    return max(path.name.partition("_")[0] for path in scripts)


def _blocks(path: Path) -> int:
    """KiB as Debian counts them: a file's size rounded up, anything else one."""
    whole = path.is_file() and not path.is_symlink()
    return -(-path.stat().st_size // 1024) if whole else 1


def _md5(path: Path) -> str:
    return hashlib.md5(path.read_bytes(), usedforsecurity=False).hexdigest()
