# SPDX-License-Identifier: Apache-2.0
"""As whom the daemon asks, where its token lies in a file that is written anew."""

import pytest
import trio
import yaml

from trustedpods.protocol.errors import NoContext
from trustedpods.provider.cluster.api import kubeconfig

SERVER = "http://127.0.0.1:6443"


def written(folder, user):
    tree = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "here", "cluster": {"server": SERVER}}],
        "users": [{"name": "other", "user": {"token": "others"}}, {"name": "daemon", "user": user}],
        "contexts": [
            {"name": "others", "context": {"cluster": "here", "user": "other"}},
            {"name": "ours", "context": {"cluster": "here", "user": "daemon"}},
        ],
        "current-context": "ours",
    }
    file = folder / "kubeconfig"
    file.write_text(yaml.safe_dump(tree))
    return file


def bearer(token):
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("absolute", [True, False])
async def test_a_token_file_is_read_again(tmp_path, virtual_time, absolute):
    token = tmp_path / "token"
    token.write_text("first\n")
    name = str(token) if absolute else token.name
    access = await kubeconfig.load(written(tmp_path, {"tokenFile": name}))
    assert (access.server, await access.headers()) == (SERVER, bearer("first"))
    token.write_text("second\n")
    assert await access.headers() == bearer("first")
    await trio.sleep(kubeconfig.READ_AGAIN_S)
    assert await access.headers() == bearer("second")


async def test_while_the_file_cannot_be_read_the_last_token_serves(tmp_path, virtual_time):
    token = tmp_path / "token"
    token.write_text("first")
    access = await kubeconfig.load(written(tmp_path, {"tokenFile": str(token)}))
    assert await access.headers() == bearer("first")
    token.unlink()
    await trio.sleep(kubeconfig.READ_AGAIN_S)
    assert await access.headers() == bearer("first")
    token.write_text("second")
    assert await access.headers() == bearer("second")


async def test_a_file_that_was_never_there_is_named(tmp_path):
    file = written(tmp_path, {"tokenFile": str(tmp_path / "none")})
    with pytest.raises(NoContext, match="none"):
        await (await kubeconfig.load(file)).headers()


async def test_another_context_has_another_user(tmp_path):
    file = written(tmp_path, {"tokenFile": "token"})
    (tmp_path / "token").write_text("ours")
    access = await kubeconfig.load(file, "others")
    assert await access.headers() == bearer("others")


@pytest.mark.parametrize("half", [b"", b"\n", b"two words", b"\xff\xfe", b"x" * 70_000], ids=len)
async def test_what_is_no_token_is_not_sent(tmp_path, virtual_time, half):
    """As of a file that is written in place: empty for a moment."""
    token = tmp_path / "token"
    token.write_text("first")
    access = await kubeconfig.load(written(tmp_path, {"tokenFile": str(token)}))
    assert await access.headers() == bearer("first")
    token.write_bytes(half)
    await trio.sleep(kubeconfig.READ_AGAIN_S)
    assert await access.headers() == bearer("first")
    with pytest.raises(NoContext, match=r"the token|no token"):
        await kubeconfig.TokenFile(token).headers()


async def test_a_context_may_have_no_user(tmp_path):
    file = written(tmp_path, {"token": "ours"})
    tree = yaml.safe_load(file.read_text())
    for context in tree["contexts"]:
        del context["context"]["user"]
    file.write_text(yaml.safe_dump(tree))
    assert await (await kubeconfig.load(file)).headers() == {}


async def test_headers_of_one_question_are_not_the_next_ones(tmp_path):
    (tmp_path / "token").write_text("ours")
    access = await kubeconfig.load(written(tmp_path, {"tokenFile": "token"}))
    (await access.headers())["accept"] = "application/json;as=PartialObjectMetadata"
    assert await access.headers() == bearer("ours")
