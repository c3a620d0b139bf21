# SPDX-License-Identifier: Apache-2.0
"""What `validate` takes a real API server takes too, and what a pod then finds around it."""

import json
import random
import re
import secrets
from contextlib import suppress

import httpx
import pytest
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.cases.pods import DEPLOYED
from tests.examples import examples
from tests.fakes.provider.pods import DIGEST, a_life, a_manifest
from tests.manifests.edges import EDGES, NUMBERS
from tests.manifests.sound import FILES, SEED, SOUND, at, leaves, put
from tests.manifests.spec.test_quantity import CPU, MIB, NO_QUANTITY
from tests.paths import VECTORS
from tests.provider.cluster.test_cluster_live import applied, ready, until
from trustedpods.manifests.check.seeds import wanted_seeds
from trustedpods.manifests.parse import load, parse_received
from trustedpods.manifests.spec.quantity import exact
from trustedpods.protocol.errors import BadInput, Refused, TrustedPodsError
from trustedpods.provider.cluster import workloads
from trustedpods.provider.cluster.api import kubeconfig as access
from trustedpods.provider.cluster.api.http import CALL_TIMEOUT_S, open_api, path_of, path_under
from trustedpods.provider.cluster.objects.names import WORKLOAD
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects
from trustedpods.provider.cluster.objects.workload.seeding import Copier

pytestmark = pytest.mark.live

EDGES_TRIED = 800
"""Of some 5600 pairs of a field and a value, other ones in each run: a quarter is taken, and asked about."""

APPLY = "application/apply-patch+yaml"
DRY = {"dryRun": "All", "fieldManager": "t", "force": "true", "fieldValidation": "Strict"}


@pytest.fixture(scope="module")
def place(kubeconfig):
    """A namespace as pods have it, with the account that they need: nothing runs in it."""
    label = "t" + secrets.token_hex(5)
    life = a_life(namespace=f"tp-{label}-1", label=label)
    made = [one for one in objects(life) if one["kind"] in ("Namespace", "ServiceAccount")]

    async def begin():
        async with open_api(await access.load(kubeconfig)) as api:
            for one in made:
                await api.apply(path_of(one["kind"], life.namespace, one["metadata"]["name"]), one, "t")

    async def end():
        async with open_api(await access.load(kubeconfig)) as api:
            await api.delete(path_of("Namespace", None, life.namespace))

    trio.run(begin)
    yield life
    trio.run(end)


async def refusal(api, made):
    """What the API server says of the object, asked without storing it; None where it takes it."""
    workload = workloads.of_kind(made["kind"])
    space, name = made["metadata"]["namespace"], made["metadata"]["name"]
    path = path_of(made["kind"], space, name) if workload is None else workload.path(space)
    try:
        await api.call("PATCH", path, query=DRY, body=made, content_type=APPLY)
    except Refused as refused:
        return f"{made['kind']}: {refused.what}"
    return None


def all_objects(life):
    """All that the life becomes in its namespace, and a replica as Kubernetes makes it."""
    made = [one for one in objects(life) if one["kind"] != "Namespace"]
    (template,) = (one["spec"]["template"] for one in made if "template" in one.get("spec", {}))
    metadata = {**template["metadata"], "namespace": life.namespace, "name": f"{WORKLOAD}-x"}
    return [*made, {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}]


def life_of(place, manifest, files):
    images = {container.name: f"127.0.0.1:5000/pods/x@{DIGEST}" for container in manifest.spec.all_containers}
    seeds = dict.fromkeys(wanted_seeds(manifest), SEED)
    copier = Copier(f"127.0.0.1:5000/pods/x@{DIGEST}", dict.fromkeys(images, "65532")) if seeds else None
    return PodLife(
        place.namespace, place.label, manifest, files, images, place.ingress_from, seeds=seeds, copier=copier
    )


async def refusals(kubeconfig, asked):
    """What the API server refuses of *asked*, which maps an object's JSON to where it came from."""
    found = {}

    async def ask(api, turns, made, source):
        async with turns:
            said = await refusal(api, json.loads(made))
        if said is not None:
            found[source] = said

    async with open_api(await access.load(kubeconfig)) as api, trio.open_nursery() as nursery:
        turns = trio.CapacityLimiter(8)
        for made, source in asked.items():
            nursery.start_soon(ask, api, turns, made, source)
    return found


def objects_of(place, changes):
    """JSON of each object that a sound change of SOUND alters, and one change that makes it."""
    before = {json.dumps(made) for made in all_objects(sound_life(place))}
    asked = {}
    for path, value in changes:
        try:
            manifest = parse_received(json.dumps(put(path, value)).encode(), {"keys": FILES})
        except BadInput:
            continue
        for made in all_objects(life_of(place, manifest, secrets_of(manifest))):
            asked.setdefault(json.dumps(made), f"{path} {value!r}")
    return {made: source for made, source in asked.items() if made not in before}


def secrets_of(manifest):
    """Files of the bundle, and what the provider makes before it writes any object."""
    volumes = {volume.name: volume.secret for volume in manifest.spec.volumes if volume.secret}
    return {name: FILES | dict.fromkeys(secret.made, b"made") for name, secret in volumes.items()}


def sound_life(place):
    manifest = parse_received(json.dumps(SOUND).encode(), {"keys": FILES})
    return life_of(place, manifest, secrets_of(manifest))


async def test_the_sound_manifest_is_taken(kubeconfig, place):
    whole = {json.dumps(made): made["kind"] for made in all_objects(sound_life(place))}
    assert await refusals(kubeconfig, whole) == {}
    whole = {made.replace('"/keys"', '""'): kind for made, kind in whole.items()}
    assert set(await refusals(kubeconfig, whole)) == {"Deployment", "Pod"}  # it looks into what it is asked


async def test_edges_of_every_field(kubeconfig, place):
    """Whatever passes `validate` passes the API server: texts in each text's place, numbers in numbers'."""
    changes = [
        (path, value) for path in leaves() for value in (EDGES if isinstance(at(path), str) else NUMBERS)
    ]
    asked = objects_of(place, random.sample(changes, EDGES_TRIED))
    assert len(asked) > EDGES_TRIED / 10
    assert await refusals(kubeconfig, asked) == {}


@settings(max_examples=examples(10), deadline=None, suppress_health_check=list(HealthCheck))
@given(changes=st.lists(st.tuples(st.sampled_from(leaves()), st.text(max_size=20)), min_size=20, max_size=20))
def test_any_text_in_any_field(kubeconfig, place, changes):
    assert trio.run(refusals, kubeconfig, objects_of(place, changes)) == {}


async def test_manifests_with_one_trait(kubeconfig, place, tmp_path):
    """All that tests/cases/test_deployed_live.py deploys in the soak."""
    asked, path = {}, tmp_path / "pod.yaml"
    for name, pod in DEPLOYED.items():
        path.write_bytes(pod.text)
        for made in all_objects(life_of(place, load(path).manifest, {})):
            asked.setdefault(json.dumps(made), name)
    assert len(asked) > 60
    assert await refusals(kubeconfig, asked) == {}


async def test_quantities_are_read_as_kubernetes_reads_them(kubeconfig, place):
    async with open_api(await access.load(kubeconfig)) as api:

        async def kept(text):
            hard = {"requests.memory": text}
            metadata = {"name": "q", "namespace": place.namespace}
            body = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": hard}}
            path = path_of("ResourceQuota", place.namespace, "q")
            answer = await api.call(
                "PATCH", path, query=DRY, body=body, content_type="application/apply-patch+yaml"
            )
            return answer.json()["spec"]["hard"]["requests.memory"]

        for text in {**CPU, **MIB}:
            milli = exact(text) * 1000  # the API server keeps no smaller part of any resource
            # Spaces around it are the JSON decoder's business; an apply goes another way.
            assert exact(await kept(text.strip())) * 1000 == -(-milli.numerator // milli.denominator), text
        taken = []
        for text in NO_QUANTITY:
            if isinstance(text, str) and 0 < len(text) <= 64:
                with suppress(TrustedPodsError):
                    taken.append((text, await kept(text)))
        assert [text for text, amount in taken if exact(amount)] == []  # a unit alone it takes for nothing


async def test_the_fields_of_kubernetes_are_those_that_we_know(cluster, kubeconfig):
    vector = json.loads((VECTORS / "kubernetes_fields.json").read_text())
    assert await cluster.version() == vector["kubernetes"], "draw tests/vectors/kubernetes_fields.json anew"
    known = await access.load(kubeconfig)
    async with httpx.AsyncClient(verify=known.tls, timeout=CALL_TIMEOUT_S, trust_env=False) as client:
        answer = await client.get(known.server + "/openapi/v2", headers=await known.headers())
    definitions = answer.json()["definitions"]
    assert {name: sorted(definitions[name]["properties"]) for name in vector["definitions"]} == vector[
        "definitions"
    ]


LOOK = """
trap 'exit 0' TERM
env; echo ---; cat /etc/resolv.conf; echo ---
before=$(date +%s); wget -O - http://example.org/ 2>&1
echo "lookup took $(($(date +%s) - before)) s"
until wget -q -O - http://side/etc/hosts; do sleep 0.1; done; echo "that is all"
sleep 3600 & wait
"""
SERVE = "trap 'exit 0' TERM; httpd -p 80 -h /; sleep 3600 & wait"


async def test_what_a_pod_finds_around_it(cluster, kubeconfig, image):
    """Nothing of the cluster, its sibling by name at port 80, and an answer at once for any other name."""
    async with open_api(await access.load(kubeconfig)) as api:
        service = await api.get(path_under("/api/v1", "services", "default", "kubernetes"))
    cluster_address = service["spec"]["clusterIP"]
    serve = {"name": "side", "image": "x", "command": ["/bin/sh", "-c", SERVE]}
    look = {"name": "c", "image": "x", "command": ["/bin/sh", "-c", LOOK]}
    async with applied(cluster, a_manifest(containers=[look, serve]), image=image("hello")) as life:
        await cluster.scale(life.namespace, 1)
        (pod,) = await ready(cluster, life.namespace)

        async def written():
            return (await cluster.logs(life.namespace, pod.name, "c")).decode()

        text = await until(written, lambda text: "that is all" in text)
    environment, resolver, rest = text.split("---")
    told = [line for line in environment.splitlines() if "KUBERNETES" in line]
    assert [line for line in told if not line.endswith("=")] == []
    assert cluster_address not in environment
    assert resolver.split("\n")[1] == "nameserver 127.0.0.1"
    assert int(re.search(r"lookup took (\d+) s", rest)[1]) <= 2
    assert re.search(r"127\.0\.0\.1\s+c\s+side", rest)
