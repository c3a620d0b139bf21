# SPDX-License-Identifier: Apache-2.0
"""The example manifests run as they are: Debian's nginx with its volume and secret, and hello."""

import secrets
from contextlib import suppress

import httpx
import pytest
import trio

from tests.paths import EXAMPLES
from trustedpods.manifests.parse import load
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api import kubeconfig as access
from trustedpods.provider.cluster.api.http import CALL_TIMEOUT_S, path_of
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects

pytestmark = pytest.mark.live

PATIENCE_S = 120


@pytest.fixture
async def run(cluster, kubeconfig, image):
    """`await run(example)`: a client whose paths are those of the pod."""
    started = []
    known = await access.load(kubeconfig)
    async with httpx.AsyncClient(verify=known.tls, timeout=CALL_TIMEOUT_S, trust_env=False) as client:

        async def start(name):
            loaded = load(EXAMPLES / f"{name}.yaml")
            label = "t" + secrets.token_hex(5)
            images = {container.name: image(name) for container in loaded.manifest.spec.containers}
            life = PodLife(f"tp-{label}-1", label, loaded.manifest, loaded.secrets, images)
            await cluster.apply(objects(life))
            started.append(life.namespace)
            await cluster.scale(life.namespace, 1)
            pod = await ready(cluster, life.namespace)
            client.base_url = known.server + path_of("Pod", life.namespace, f"{pod.name}:8080") + "/proxy"
            await answers(client)
            return life, client

        yield start
    for namespace in started:
        await end(cluster, namespace)
        await cluster.delete_namespace(namespace)


async def ready(cluster, namespace):
    with trio.move_on_after(PATIENCE_S):
        while True:
            for pod in await cluster.pods(namespace):
                if pod.ready:
                    return pod
            await trio.sleep(0.05)
    pytest.fail(f"{await cluster.why_not_ready(namespace)}: {await cluster.events(namespace)}")


async def answers(client):
    """Ready without a kubelet probe is a started process; it listens some milliseconds later."""
    with trio.fail_after(PATIENCE_S):
        while (await client.get("/")).status_code != 200:
            await trio.sleep(0.05)


async def end(cluster, namespace):
    with suppress(errors.NotThere):
        await cluster.scale(namespace, 0)
    with trio.fail_after(PATIENCE_S):
        while pods := await cluster.pods(namespace):
            for pod in pods:
                if pod.over:
                    await cluster.drop_finalizer(namespace, pod.name, pod.uid)
            await trio.sleep(0.05)


async def test_hello(run):
    _, client = await run("hello")
    assert "Hello from a trusted pod" in (await client.get("/")).text
    assert "hello from a trusted pod" in (await client.get("/cgi-bin/whoami")).text
    assert "uid 65532" in (await client.get("/cgi-bin/whoami")).text


async def test_web(run, cluster):
    life, client = await run("web")
    assert "nginx" in (await client.get("/")).text
    assert (await client.get("/private/")).status_code == 401
    assert (await client.get("/private/", auth=("guest", "wrong"))).status_code == 401
    slow = await client.get("/slow/60mb.bin", headers={"range": "bytes=59999000-59999999"})
    assert slow.headers["content-range"].endswith("/60000000")
    assert slow.text.startswith("block 059999")
    visits = (await client.get("/visits")).text
    assert "GET /private/index.html 401" in visits or "GET /private/ 401" in visits
    # Asleep and awake again, the volume is the same.
    await end(cluster, life.namespace)
    await cluster.scale(life.namespace, 1)
    pod = await ready(cluster, life.namespace)
    base = str(client.base_url)
    client.base_url = base.partition("/pods/")[0] + f"/pods/{pod.name}:8080/proxy"
    await answers(client)
    assert (await client.get("/visits")).text.startswith(visits)
