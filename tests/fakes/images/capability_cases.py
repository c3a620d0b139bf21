# SPDX-License-Identifier: Apache-2.0
"""Images whose program with file capabilities starts by way of something else, or need not."""

import tarfile

from tests.fakes.images.image_cases import Case, file_capability, image_case
from tests.fakes.images.image_parts import NET_BIND, PROGRAM, entry, tar


def _link(name: str, to: str, kind: bytes = tarfile.SYMTYPE, form: int = tarfile.PAX_FORMAT) -> bytes:
    return tar(entry(name, type=kind, linkname=to), form=form)


_LONG = "d/" * 70 + "app"
_SH = "/bin/sh"
_HARD = tar(
    entry("usr/bin/app", PROGRAM, pax_headers={"SCHILY.xattr.security.capability": NET_BIND}),
    entry("start", type=tarfile.LNKTYPE, linkname="usr/bin/app"),
)
_INDIRECTLY: list[tuple[str, list[str], tuple[bytes, ...]]] = [
    ("the shell form", [_SH, "-c", "app --port 80"], ()),
    ("the shell form, in full", [_SH, "-c", "/usr/bin/app"], ()),
    ("exec", [_SH, "-c", "exec app"], ()),
    ("exec behind others", [_SH, "-ec", "mkdir -p /tmp/x; A=1 exec app >/tmp/log 2>&1"], ()),
    ("a chain", ["/bin/bash", "-o", "pipefail", "-c", "cd /srv && app | cat"], ()),
    ("lines", [_SH, "-c", "cd /srv\napp \\\n --port 80\n"], ()),
    ("set -e", [_SH, "-c", "set -e; app; sleep 9"], ()),
    ("quotes", [_SH, "-c", "'/usr/bin/app' \"$PORT\""], ()),
    ("tini", ["/sbin/tini", "-g", "--", "app"], ()),
    ("env", ["/usr/bin/env", "A=1", "app"], ()),
    ("env and a shell", ["env", _SH, "-c", "exec dumb-init app"], ()),
    ("a symbolic link", ["/start"], (_link("start", "usr/bin/app"),)),
    ("an absolute link", ["/start"], (_link("start", "/usr/bin/app"),)),
    ("links to links", ["/a/start"], (_link("a", "b/./../c"), _link("c/start", "../usr/../usr/bin/app"))),
    ("a linked folder", ["/bin/app"], (_link("bin", "usr/bin"),)),
    ("a link in the PATH", ["start"], (_link("usr/local/bin/start", "../../bin/app"),)),
    ("a hard link", ["/start"], (_HARD,)),
    ("a long link", ["/start"], (_link("start", "/" + _LONG), _link(_LONG, "/usr/bin/app"))),
    ("a long link of GNU", ["/start"],
     (_link("start", "/" + _LONG, form=tarfile.GNU_FORMAT), _link(_LONG, "/usr/bin/app"))),
    ("the shell form and a link", [_SH, "-c", "start"], (_link("bin/start", "/usr/bin/app"),)),
]  # fmt: skip
"""Ways to a program with capabilities: a name, what is run, and layers above."""

_NOT_AT_ALL: list[tuple[str, list[str], tuple[bytes, ...]]] = [
    ("an argument", ["/other", "app"], ()),
    ("an argument in a shell", [_SH, "-c", "other app"], ()),
    ("it may fail", [_SH, "-c", "app || other"], ()),
    ("it may fail before others", [_SH, "-c", "app; other"], ()),
    ("beside others", [_SH, "-c", "app & exec other"], ()),
    ("on a condition", [_SH, "-c", "if app; then other; fi"], ()),
    ("a variable", [_SH, "-c", "exec $APP"], ()),
    ("never reached", [_SH, "-c", "exec other; app"], ()),
    ("before a remark", [_SH, "-c", "app # it may fail\nother"], ()),
    ("a script", [_SH, "/start.sh", "app"], ()),
    ("a text that is none", [_SH, "-c", "app 'unfinished"], ()),
    ("a link that is replaced", ["/start"], (_link("start", "usr/bin/app"), tar(entry("start", PROGRAM)))),
    ("a link that is taken away", ["/start"],
     (_link("start", "usr/bin/app"), tar(entry(".wh.start")), tar(entry("start", PROGRAM)))),
    ("links in a circle", ["/start"], (_link("start", "other"), _link("other", "start"))),
]  # fmt: skip

_OTHERS = tar(*(entry(name, PROGRAM) for name in ("bin/sh", "other", "usr/bin/other", "start.sh")))
"""What these start instead."""

CASES: dict[str, Case] = {
    f"capabilities by {name}": image_case(
        "file capabilities", "", **file_capability(*layers), run={"Entrypoint": line}
    )
    for name, line, layers in _INDIRECTLY
} | {
    f"no need of capabilities: {name}": image_case(
        **file_capability(_OTHERS, *layers), run={"Entrypoint": line}
    )
    for name, line, layers in _NOT_AT_ALL
}
