# SPDX-License-Identifier: Apache-2.0
"""Licences and sizes, as dpkg and people read them."""

from tests.deploy.debian.packages import metadata, staging, wheel


def test_each_dependency_has_its_licence_and_the_place_of_its_text(tmp_path):
    site = tmp_path / staging.SITE
    for name in ("some", "other"):
        staging.unpack(wheel(tmp_path, name, {f"{name}.py": ""}), site)
    text = metadata.copyright_file(site)
    assert text.count("License: MIT\n") == 2
    assert f" some 1.0; texts in /{staging.SITE}/some-1.0.dist-info\n" in text
    assert text.startswith("Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\n")


def test_changes_have_the_version_and_the_commits_time(tmp_path):
    from gzip import decompress

    from tests.paths import ROOT

    metadata.documents(ROOT, tmp_path, "1.2.3", 0)
    text = decompress((tmp_path / staging.DOC / "changelog.gz").read_bytes()).decode()
    assert text.startswith("trusted-pods-provider (1.2.3) bookworm; urgency=medium\n")
    assert "  Thu, 01 Jan 1970 00:00:00 +0000\n" in text
