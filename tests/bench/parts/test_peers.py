# SPDX-License-Identifier: Apache-2.0
"""What `--peer` takes, and nginx's word on the configuration that it is started with."""

import argparse
import subprocess
from pathlib import Path

import pytest

from tests.bench.parts.peers import NGINX, Peer, nginx_conf, peer


def test_a_peer_is_a_package_or_a_url():
    assert peer("nginx") == Peer("nginx")
    assert peer("mine=http://10.0.0.1:81/") == Peer("mine", "http://10.0.0.1:81/")
    assert peer("mine=http://10.0.0.1:81/").netloc == "10.0.0.1:81"


@pytest.mark.parametrize(
    "text", ["", "traefik", "=http://a:1", "mine=", "mine=a:1", "mine=https://a:1", "http://a"]
)
def test_anything_else_is_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="NAME=http"):
        peer(text)


@pytest.mark.live
def test_nginx_accepts_it_without_a_warning(tmp_path: Path):
    conf = tmp_path / "nginx.conf"
    conf.write_text(nginx_conf(tmp_path, "127.0.0.1:9"))
    words = [NGINX, "-t", "-q", "-p", str(tmp_path), "-c", str(conf)]
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
