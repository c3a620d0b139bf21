# SPDX-License-Identifier: Apache-2.0
"""The door against a real Kubernetes: lives of pods, what goes wrong, and who owns what."""

import secrets
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from uuid import UUID

import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fakes.provider.pods import DIGEST, a_life, a_manifest
from tests.provider.cluster.strategies import lives
from trustedpods.manifests.spec.lifecycle import DEFAULT_GRACE_S
from trustedpods.protocol.errors import Locked, NetworkFailure, Refused
from trustedpods.provider.cluster import workloads
from trustedpods.provider.cluster.api import errors
from trustedpods.provider.cluster.api import kubeconfig as access
from trustedpods.provider.cluster.api.http import open_api, path_of
from trustedpods.provider.cluster.log_parts import LogPart
from trustedpods.provider.cluster.objects.pod_objects import objects

pytestmark = pytest.mark.live

PATIENCE_S = 120


def shell(script, **more):
    """A container that runs a script."""
    return {"name": "c", "image": "x", "command": ["/bin/sh", "-c", script], **more}


@asynccontextmanager
async def applied(cluster, manifest=None, **life):
    """A life in a namespace of its own, which Kubernetes removes some seconds after the test."""
    label = "t" + secrets.token_hex(5)
    made = a_life(manifest, namespace=f"tp-{label}-1", label=label, **life)
    try:
        await cluster.apply(objects(made))
        yield made
    finally:
        with trio.CancelScope(shield=True, deadline=trio.current_time() + 90):
            await remove(cluster, made.namespace)


async def remove(cluster, namespace):
    """Pods first: a namespace that is deleted with pods in it looks at them again only seconds later."""
    with suppress(errors.NotThere):
        await cluster.scale(namespace, 0)
    while pods := await cluster.pods(namespace):
        for pod in pods:
            if pod.over:
                await cluster.drop_finalizer(namespace, pod.name, pod.uid)
        await trio.sleep(0.05)
    await cluster.delete_namespace(namespace)


async def until(question, want=bool):
    """The first answer that is wanted."""
    with trio.fail_after(PATIENCE_S):
        while True:
            answer = await question()
            if want(answer):
                return answer
            await trio.sleep(0.05)


async def ready(cluster, namespace, count=1):
    def enough(pods):
        return sum(pod.ready for pod in pods) == count

    try:
        return [pod for pod in await until(lambda: cluster.pods(namespace), enough) if pod.ready]
    except trio.TooSlowError:
        pytest.fail(f"not ready: {await cluster.why_not_ready(namespace)}: {await cluster.events(namespace)}")


async def page(kubeconfig, pod, path):
    """What the pod serves, fetched through the API server.

    Ready is a container that runs; it may not listen yet.
    """
    place = path_of("Pod", pod.namespace, f"{pod.name}:8080") + "/proxy" + path
    async with open_api(await access.load(kubeconfig)) as api:

        async def served():
            with suppress(NetworkFailure):
                return (await api.call("GET", place)).text

        return await until(served)


async def test_a_life_from_start_to_end(cluster, kubeconfig, image):
    container = {"name": "c", "image": "x", "env": [{"name": "GREETING", "value": "good morning"}]}
    async with applied(cluster, a_manifest(containers=[container]), image=image("hello")) as life:
        assert await cluster.replicas(life.namespace) == 0
        await cluster.scale(life.namespace, 1)
        (pod,) = await ready(cluster, life.namespace)
        assert pod.label == life.label
        assert pod.metered
        assert "good morning" in await page(kubeconfig, pod, "/cgi-bin/whoami")
        await cluster.apply(objects(life))
        assert await cluster.replicas(life.namespace) == 1
        await cluster.scale(life.namespace, 0)
        (ended,) = await until(lambda: cluster.pods(life.namespace), lambda pods: pods and pods[0].over)
        assert pod.started_at <= ended.deleted_at <= ended.finished_at < ended.deleted_at + DEFAULT_GRACE_S
        await cluster.drop_finalizer(life.namespace, ended.name, "another-uid")
        await cluster.drop_finalizer(life.namespace, "another-name", ended.uid)
        assert (await cluster.pods(life.namespace))[0].metered
        await cluster.drop_finalizer(life.namespace, ended.name, ended.uid)
        await until(lambda: cluster.pods(life.namespace), lambda pods: not pods)
    await until(cluster.namespaces, lambda views: life.namespace not in [view.name for view in views])


async def test_a_namespace_waits_for_the_meter(cluster, image):
    async with applied(cluster, image=image("hello")) as life:
        await cluster.scale(life.namespace, 1)
        await ready(cluster, life.namespace)
        await cluster.delete_namespace(life.namespace)
        (ended,) = await until(lambda: cluster.pods(life.namespace), lambda pods: pods and pods[0].over)
        assert ended.finished_at
        (view,) = [view for view in await cluster.namespaces() if view.name == life.namespace]
        assert view.deleting
        with pytest.raises(errors.NamespaceEnding):
            await cluster.apply(objects(life))


async def test_a_watch_sees_it_all(cluster, image):
    async with applied(cluster, image=image("hello")) as life:
        seen = []
        with trio.fail_after(PATIENCE_S):
            async with cluster.watch_pods(life.namespace) as changes:
                await cluster.scale(life.namespace, 1)
                async for change in changes:
                    seen.append(change)
                    if change.pod.ready and await cluster.replicas(life.namespace):
                        await cluster.scale(life.namespace, 0)
                    if change.pod.over:
                        await cluster.drop_finalizer(life.namespace, change.pod.name, change.pod.uid)
                    if change.gone:
                        break
        assert [change.pod.ready for change in seen].count(True) >= 1
        assert seen[0].pod.phase == "Pending"


async def test_volumes_secrets_and_environment(cluster, image):
    script = (
        'trap exit TERM; cat /s/key; echo "$E $S"; id -u; echo kept >> /data/x; cat /data/x; sleep 100 & wait'
    )
    container = shell(
        script,
        env=[
            {"name": "E", "value": "plain"},
            {"name": "S", "valueFrom": {"secretKeyRef": {"name": "s", "key": "key"}}},
        ],
        volumeMounts=[{"name": "s", "mountPath": "/s"}, {"name": "data", "mountPath": "/data"}],
    )
    volumes = [
        {"name": "s", "secret": {"files": {"key": "x"}}},
        {"name": "data", "persistent": {"size": "16Mi"}},
    ]
    manifest = a_manifest(containers=[container], volumes=volumes)
    async with applied(cluster, manifest, image=image("hello"), secrets={"s": {"key": b"hush\n"}}) as life:
        for run in (1, 2):
            await cluster.scale(life.namespace, 1)
            (pod,) = await ready(cluster, life.namespace)
            wanted = b"hush\nplain hush\n\n65532\n" + run * b"kept\n"
            written = await until(
                lambda pod=pod: cluster.logs(life.namespace, pod.name, "c"),
                lambda log: log.endswith(b"kept\n"),
            )
            assert written == wanted
            await cluster.scale(life.namespace, 0)
            (ended,) = await until(lambda: cluster.pods(life.namespace), lambda pods: pods and pods[0].over)
            await cluster.drop_finalizer(life.namespace, ended.name, ended.uid)
            await until(lambda: cluster.pods(life.namespace), lambda pods: not pods)
        (claim,) = await cluster.volume_claims(life.namespace)
        assert (claim.name, claim.mib, claim.label, claim.deleted) == ("data", 16, life.label, None)
        assert claim.created > 0


async def test_logs_are_followed_and_bounded(cluster, image):
    container = shell("trap 'echo last; exit' TERM; seq 1 5; sleep 1000 & wait")
    async with applied(cluster, a_manifest(containers=[container]), image=image("hello")) as life:
        await cluster.scale(life.namespace, 1)
        pod = (await until(lambda: cluster.pods(life.namespace)))[0]
        await until(lambda: cluster.pods(life.namespace), lambda pods: pods[0].phase == "Running")
        await until(lambda: cluster.logs(life.namespace, pod.name, "c", 9), lambda text: b"5\n" in text)
        text = b""
        with trio.fail_after(PATIENCE_S):
            async with cluster.follow_logs(life.namespace, pod.name, "c", LogPart(2)) as pieces:
                async for piece in pieces:
                    text += piece
                    if text == b"4\n5\n":
                        await cluster.scale(life.namespace, 0)
        assert text == b"4\n5\nlast\n"
        with pytest.raises(Refused, match="not valid"):
            await cluster.logs(life.namespace, pod.name, "nobody")


@pytest.mark.parametrize(
    ("container", "expected"),
    [
        (shell("echo out of luck; exit 3"), ["container c ended: exit code 3", "out of luck"]),
        ({"name": "c", "image": "x", "command": ["/nope"]}, ["StartError", "/nope"]),
        (shell("sleep 9", resources={"limits": {"cpu": "250"}}), ["Unschedulable", "Insufficient cpu"]),
    ],
    ids=["crash", "no-such-program", "too-large"],
)
async def test_why_it_does_not_start(cluster, image, container, expected):
    async with applied(cluster, a_manifest(containers=[container]), image=image("hello")) as life:
        assert await cluster.why_not_ready(life.namespace) is None
        await cluster.scale(life.namespace, 1)
        found = await until(lambda: cluster.diagnose(life.namespace), lambda why: why and why.hopeless)
        assert [words for words in expected if words not in found.text] == []


async def test_an_image_that_is_not_there(cluster, image):
    missing = image("hello").partition("@")[0] + f"@{DIGEST}"
    async with applied(cluster, image=missing) as life:
        await cluster.scale(life.namespace, 1)
        found = await until(lambda: cluster.diagnose(life.namespace), lambda why: why and why.hopeless)
        assert "not found" in found.text
        assert any("Failed" in line for line in await cluster.events(life.namespace))


async def test_an_image_that_wants_root(cluster, image):
    async with applied(cluster, image=image("rooted")) as life:
        await cluster.scale(life.namespace, 1)
        found = await until(lambda: cluster.diagnose(life.namespace), lambda why: why and why.hopeless)
        assert "image will run as root" in found.text


async def test_kubernetes_itself_refuses_what_is_not_restricted(cluster, image):
    async with applied(cluster, image=image("hello")) as life:
        made = objects(life)
        made[-1]["spec"]["template"]["spec"]["hostPID"] = True
        await cluster.apply(made)
        await cluster.scale(life.namespace, 1)
        found = await until(lambda: cluster.diagnose(life.namespace))
        assert 'violates PodSecurity "restricted' in found.text


async def test_what_another_version_left_is_pruned(cluster):
    volumes = [{"name": name, "persistent": {"size": "16Mi"}} for name in ("data", "more")]
    async with applied(cluster, a_manifest(volumes=volumes)) as life:
        made = objects(life)
        kept = {(one["kind"], one["metadata"]["name"]) for one in made} - {("PersistentVolumeClaim", "more")}
        await cluster.prune(life.namespace, kept)
        left = await until(lambda: cluster.volume_claims(life.namespace), lambda found: len(found) == 1)
        assert [claim.name for claim in left] == ["data"]
        await cluster.prove_volume_claims(life.namespace, {"data": 16, "more": 16})
        await cluster.apply(made)
        proven = {claim.name: claim.proven for claim in await cluster.volume_claims(life.namespace)}
        assert proven == {"data": 16, "more": None}


async def test_a_volume_never_shrinks(cluster):
    manifest = a_manifest(volumes=[{"name": "data", "persistent": {"size": "16Mi"}}])
    async with applied(cluster, manifest) as life:
        smaller = a_manifest(volumes=[{"name": "data", "persistent": {"size": "8Mi"}}])
        with pytest.raises(errors.ImmutableChange):
            await cluster.apply(objects(replace(life, manifest=smaller)))


async def test_replicas_survive_a_kill_between_two_calls(cluster, kubeconfig):
    """A Deployment whose number the scaler does not own yet must not get Kubernetes' default of 1."""
    async with applied(cluster) as life, open_api(await access.load(kubeconfig)) as api:
        path = workloads.DEPLOYMENTS.path(life.namespace)
        await api.delete(path)
        await until(lambda: api.find(path), lambda found: found is None)
        wanted = objects(life)[-1]
        await api.apply(path, {**wanted, "spec": {**wanted["spec"], "replicas": 0}}, "trustedpods")
        await cluster.apply(objects(life))
        assert await cluster.replicas(life.namespace) == 0


async def test_the_cheapest_replica_ends_first(cluster, image):
    async with applied(cluster, a_manifest(scale={"max": 2}), image=image("hello")) as life:
        await cluster.scale(life.namespace, 2)
        first, second = await ready(cluster, life.namespace, 2)
        await cluster.set_deletion_cost(life.namespace, first.name, -100)
        await cluster.set_deletion_cost(life.namespace, "nobody", 5)
        await cluster.scale(life.namespace, 1)
        pods = await until(
            lambda: cluster.pods(life.namespace), lambda pods: any(pod.deleted_at for pod in pods)
        )
        assert [pod.name for pod in pods if pod.deleted_at is None] == [second.name]


async def test_capacity_shrinks_by_what_runs(cluster, image):
    """Pods of others may begin and end meanwhile; so both are read until nothing else has changed."""
    assert (await cluster.capacity()).allocatable.cpu_milli >= 1000
    async with applied(cluster, image=image("hello")) as life:

        async def taken():
            before = (await cluster.capacity()).free
            await cluster.scale(life.namespace, 1)
            (pod,) = await ready(cluster, life.namespace)
            after = (await cluster.capacity()).free
            await cluster.scale(life.namespace, 0)
            (ended,) = await until(lambda: cluster.pods(life.namespace), lambda pods: pods and pods[0].over)
            await cluster.drop_finalizer(life.namespace, ended.name, ended.uid)
            await until(lambda: cluster.pods(life.namespace), lambda pods: not pods)
            difference = (before.cpu_milli - after.cpu_milli, before.memory_mib - after.memory_mib)
            return difference == (pod.cpu_milli, pod.memory_mib)

        assert await until(taken)


async def test_scaling_what_is_not_there(cluster):
    with pytest.raises(errors.NotThere):
        await cluster.scale("tp-nowhere-1", 1)
    assert await cluster.replicas("tp-nowhere-1") == 0
    await cluster.delete_namespace("tp-nowhere-1")


async def test_a_cluster_is_known_by_its_uid(cluster):
    assert UUID(await cluster.identity()) == UUID(await cluster.identity())


async def test_one_daemon_per_cluster(cluster):
    name = "t" + secrets.token_hex(5)
    await cluster.hold_lease(name, "first", 60)
    await cluster.hold_lease(name, "first", 60)
    with pytest.raises(Locked, match="first holds the lease"):
        await cluster.hold_lease(name, "second", 2)
    await cluster.hold_lease(name, "first", 1)
    await cluster.release_lease(name, "second")
    with trio.fail_after(PATIENCE_S):
        while True:
            try:
                await cluster.hold_lease(name, "second", 60)
                break
            except Locked:
                await trio.sleep(0.2)
    await cluster.release_lease(name, "second")
    await cluster.hold_lease(name, "first", 1)


async def test_of_two_that_try_at_once_one_wins(cluster):
    name = "t" + secrets.token_hex(5)
    outcomes = []

    async def attempt(holder):
        try:
            await cluster.hold_lease(name, holder, 60)
            outcomes.append("held")
        except Locked:
            outcomes.append("locked")

    async with trio.open_nursery() as nursery:
        for holder in "abcd":
            nursery.start_soon(attempt, holder)
    assert sorted(outcomes) == ["held", "locked", "locked", "locked"]


async def test_text_arrives_as_it_was_sent(cluster, kubeconfig):
    odd = "tab\t line\n del\x7f next\x85 mark\ufeff separator\u2028 pair\U0001f600 \\ud83d end"
    container = {"name": "c", "image": "x", "env": [{"name": "E", "value": odd}]}
    async with applied(cluster, a_manifest(containers=[container])) as life:
        async with open_api(await access.load(kubeconfig)) as api:
            stored = await api.get(workloads.DEPLOYMENTS.path(life.namespace))
        variables = stored["spec"]["template"]["spec"]["containers"][0]["env"]
        assert [one["value"] for one in variables if one["name"] == "E"] == [odd]


async def test_the_version(cluster):
    assert (await cluster.version()).startswith("v1.")


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_kubernetes_takes_whatever_the_builder_makes(kubeconfig, data):
    """Strictly validated and admitted by a real API server, without being stored."""
    life = replace(data.draw(lives()), namespace="default")

    async def check():
        async with open_api(await access.load(kubeconfig)) as api:
            for made in objects(life)[1:]:
                workload = workloads.of_kind(made["kind"])
                path = (
                    path_of(made["kind"], "default", made["metadata"]["name"])
                    if workload is None
                    else workload.path("default")
                )
                query = {"dryRun": "All", "fieldManager": "t", "force": "true", "fieldValidation": "Strict"}
                content_type = "application/apply-patch+yaml"
                await api.call("PATCH", path, query=query, body=made, content_type=content_type)

    trio.run(check)
