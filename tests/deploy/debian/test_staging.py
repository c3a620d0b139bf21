# SPDX-License-Identifier: Apache-2.0
"""Wheels in the tree of the package: modules as they are, nothing twice, nothing outside."""

import pytest

from tests.deploy.debian.packages import staging, wheel, wheels


def test_modules_are_there_and_scripts_and_strays_are_not(tmp_path):
    files = {
        "some/__init__.py": "x = 1\n",
        "some-1.0.data/scripts/some": "#!python\n",
        "some-1.0.data/data/share/man/man1/some.1": "",
        "docs/Makefile": "all:\n",
    }
    staging.unpack(wheel(tmp_path, "some", files), tmp_path / "site")
    found = {
        path.relative_to(tmp_path / "site").as_posix()
        for path in (tmp_path / "site").rglob("*")
        if path.is_file()
    }
    assert found == {"some/__init__.py", "some-1.0.dist-info/METADATA"}
    assert (tmp_path / "site/some/__init__.py").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("name", ["../out.py", "/out.py", "some/../../out.py", "some-1.0.data/purelib/x.py"])
def test_what_belongs_nowhere_is_refused(tmp_path, name):
    with pytest.raises(wheels.NotBuildable, match="belongs nowhere"):
        staging.unpack(wheel(tmp_path, "some", {name: ""}), tmp_path / "site")
    assert not (tmp_path / "out.py").exists()


def test_two_wheels_may_share_a_file_only_where_it_is_the_same(tmp_path):
    site = tmp_path / "site"
    staging.unpack(wheel(tmp_path, "one", {"shared/__init__.py": ""}), site)
    staging.unpack(wheel(tmp_path, "two", {"shared/__init__.py": ""}), site)
    with pytest.raises(wheels.NotBuildable, match=r"another shared/__init__\.py"):
        staging.unpack(wheel(tmp_path, "three", {"shared/__init__.py": "x = 1\n"}), site)
