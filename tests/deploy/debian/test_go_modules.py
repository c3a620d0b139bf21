# SPDX-License-Identifier: Apache-2.0
"""Licence texts of what is linked into the package's programs: the real ones, as `make setup` built them."""

import re
import subprocess

import pytest

from tests.deploy.debian.packages import go_modules, wheels
from trustedpods.localnet.cluster import binaries


@pytest.mark.live
def test_every_module_of_the_tunnels_program_has_its_texts():
    program = binaries.built(binaries.tunnel())
    linked = subprocess.run(
        ["go", "version", "-m", program], check=True, capture_output=True, text=True
    ).stdout
    modules = re.findall(r"^\tdep\t(\S+)\t(\S+)", linked, re.MULTILINE)
    assert modules
    text = go_modules.texts_of([program])
    told = re.findall(r"^==== (.+)$", text, re.MULTILINE)
    assert told == [go_modules.STANDARD_LIBRARY, *(f"{path} {version}" for path, version in sorted(modules))]
    assert "golang.zx2c4.com/wireguard" in {path for path, _ in modules}
    for stanza in text.split("==== ")[1:]:
        assert re.search(r"copyright", stanza, re.IGNORECASE), stanza[:100]


@pytest.mark.live
def test_a_program_that_is_none_of_gos_is_one_line(tmp_path):
    other = tmp_path / "program"
    other.write_text("#!/bin/sh\n")
    with pytest.raises(wheels.NotBuildable, match="go version"):
        go_modules.texts_of([other])
