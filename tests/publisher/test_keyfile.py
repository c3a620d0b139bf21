# SPDX-License-Identifier: Apache-2.0
"""Keys: hex or keystore, never where other processes see them."""

import json
from pathlib import Path

import pytest
from eth_account import Account

from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.publisher.keyfile import load_key

SECRET = bytes.fromhex("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80")
ADDRESS = "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266"


def keyfile(tmp_path, text, mode=0o600):
    path = tmp_path / "key"
    path.write_text(text)
    path.chmod(mode)
    return str(path)


def fail(_text):
    raise AssertionError("warned or asked without need")


@pytest.mark.parametrize("form", ["{}", "0x{}\n", "  {}  \n"])
def test_hex(tmp_path, form):
    key = load_key(keyfile(tmp_path, form.format(SECRET.hex())), warn=fail, environment={})
    assert (key.secret, key.address) == (SECRET, ADDRESS)
    assert SECRET.hex() not in repr(key)
    assert repr(SECRET) not in repr(key)


def test_keystore_asks_or_reads_the_password(tmp_path):
    store = Account.encrypt(SECRET, "correct horse", kdf="pbkdf2", iterations=2)
    path = keyfile(tmp_path, json.dumps(store))
    assert load_key(path, warn=fail, ask=lambda _: "correct horse", environment={}).secret == SECRET
    (tmp_path / "password").write_text("correct horse\n")
    env = {"TRUSTEDPODS_KEY_PASSWORD_FILE": str(tmp_path / "password")}
    assert load_key(path, warn=fail, ask=fail, environment=env).secret == SECRET
    with pytest.raises(NoContext, match="no terminal"):
        load_key(path, warn=fail, environment={})
    with pytest.raises(BadInput, match="does not open"):
        load_key(path, warn=fail, ask=lambda _: "wrong", environment={})


def test_a_readable_key_is_warned_of(tmp_path):
    said: list[str] = []
    load_key(keyfile(tmp_path, SECRET.hex(), 0o644), warn=said.append, environment={})
    assert len(said) == 1
    assert "chmod 600" in said[0]


def test_the_mode_is_of_the_file_that_is_read(tmp_path, monkeypatch):
    """Another one takes the name while it is opened."""
    path, other = keyfile(tmp_path, SECRET.hex()), tmp_path / "other"
    other.write_text(SECRET.hex())
    other.chmod(0o644)
    opening = Path.open

    def replaced(self, *how, **more):
        if str(self) == path and other.exists():
            other.replace(path)
        return opening(self, *how, **more)

    monkeypatch.setattr(Path, "open", replaced)
    said: list[str] = []
    load_key(path, warn=said.append, environment={})
    assert len(said) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "neither"),
        ("abc", "neither"),
        ("0" * 64, "not a valid private key"),
        ("f" * 64, "not a valid private key"),
        ("{", "not valid JSON"),
        ("{}", "version 3"),
        ('{"version": 3}', "damaged"),
        ("x" * 20_000, "cannot read the key: larger than 16 KiB"),
    ],
)
def test_what_is_not_a_key(tmp_path, text, message):
    with pytest.raises(BadInput, match=message) as caught:
        load_key(keyfile(tmp_path, text), warn=fail, ask=lambda _: "p", environment={})
    assert "0" * 64 not in str(caught.value)
    assert "f" * 64 not in str(caught.value)


def test_the_variable_names_a_file(tmp_path):
    path = keyfile(tmp_path, SECRET.hex())
    assert load_key(None, warn=fail, environment={"TRUSTEDPODS_KEY": path}).address == ADDRESS
    with pytest.raises(NoContext):
        load_key(None, warn=fail, environment={"TRUSTEDPODS_KEY": SECRET.hex()})
