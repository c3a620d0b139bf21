# SPDX-License-Identifier: Apache-2.0
"""Certificates of an embedded cluster say who somebody is, and are made once."""

from pathlib import Path

import yaml
from cryptography import x509
from cryptography.x509.oid import NameOID

from trustedpods.localnet.cluster.pki import Authority, CertificateSubject

NODE = CertificateSubject("node", "system:node:k1", ("system:nodes",), hosts=("k1", "10.1.2.3"))


def issued(folder: Path) -> x509.Certificate:
    Authority(folder).issue(NODE)
    return x509.load_pem_x509_certificate((folder / "node.crt").read_bytes())


def test_user_groups_and_hosts_are_in_the_certificate(tmp_path: Path) -> None:
    found = issued(tmp_path)
    assert found.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value == NODE.user
    assert found.subject.get_attributes_for_oid(NameOID.ORGANIZATION_NAME)[0].value == "system:nodes"
    names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert [str(name) for name in names.get_values_for_type(x509.IPAddress)] == ["10.1.2.3"]
    authority = x509.load_pem_x509_certificate((tmp_path / "ca.crt").read_bytes())
    found.verify_directly_issued_by(authority)


def test_a_second_start_keeps_keys_and_certificates(tmp_path: Path) -> None:
    first = issued(tmp_path)
    before = {file: file.read_bytes() for file in tmp_path.iterdir()}
    assert issued(tmp_path) == first
    assert {file: file.read_bytes() for file in tmp_path.iterdir()} == before


def test_another_node_gets_keys_of_its_own_and_never_the_authority_s(tmp_path: Path) -> None:
    authority, there = Authority(tmp_path / "cluster"), tmp_path / "node"
    authority.issue(NODE, there)
    authority.write_kubeconfig(NODE, "https://10.1.2.3:6443", there)
    assert {file.name for file in there.iterdir()} == {"ca.crt", "node.crt", "node.key", "node.conf"}
    assert (there / "ca.crt").read_bytes() == (tmp_path / "cluster" / "ca.crt").read_bytes()
    assert not (tmp_path / "cluster" / "node.key").exists()
    issuer = x509.load_pem_x509_certificate((there / "ca.crt").read_bytes())
    x509.load_pem_x509_certificate((there / "node.crt").read_bytes()).verify_directly_issued_by(issuer)


def test_only_the_owner_reads_keys(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    authority.issue(NODE)
    authority.make_service_account_key()
    authority.write_kubeconfig(NODE, "https://10.1.2.3:6443")
    for file in (*tmp_path.glob("*.key"), tmp_path / "node.conf"):
        assert file.stat().st_mode & 0o077 == 0, file
    config = yaml.safe_load((tmp_path / "node.conf").read_text())
    assert config["clusters"][0]["cluster"]["server"] == "https://10.1.2.3:6443"
