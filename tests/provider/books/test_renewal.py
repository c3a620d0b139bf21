# SPDX-License-Identifier: Apache-2.0
"""Certificates of running pods are renewed before they end, and replicas take them; a kill loses nothing."""

import base64
import secrets

import pytest

from tests.fakes.provider.caller import Caller, manifest_of
from tests.provider.books.test_books import a_world, objects_of
from tests.provider.books.test_reloading import node
from trustedpods.protocol.errors import Refused
from trustedpods.provider.books.reloading import ARRIVES_WITHIN_S
from trustedpods.provider.books.renewal import CertificateRenewal
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import (
    BOOK_SECRET,
    RELOAD_DUE_KEY,
    RENDERED_NOTE,
)
from trustedpods.provider.core.generated.certificates import RENEWED_BEFORE, VALID_FOR, with_certificates
from trustedpods.provider.core.generated.values import MadeFiles

__all__ = ["node"]

LATER_S = int((VALID_FOR - RENEWED_BEFORE).total_seconds())
FILES = {"tls.pem": "one.ring.internal"}


class CertifiedPod:
    """A pod with a certificate, in a daemon whose renewals are looked at by hand.

    Its one replica has the file as its node brought it: when the replica's note last became another one.
    """

    def __init__(self, world, parts, address, on_change):
        self.world, self.parts, self.caller = world, parts, Caller(world, address)
        key = {"type": "p256", "encoding": "pem", "identity": True, "certificates": FILES}
        secret = {"files": {"token": "t"}, "generate": {"tls.key": key}, "onChange": on_change}
        container = manifest_of().spec.containers[0].model_dump(by_alias=True, exclude_none=True)
        self.caller.manifest = manifest_of(
            containers=[container | {"volumeMounts": [{"name": "keys", "mountPath": "/keys"}]}],
            volumes=[{"name": "keys", "secret": secret}],
            scale={"min": 1, "max": 1},
            **({"reload": {"signal": "SIGHUP"}} if on_change == "reload" else {}),
        )
        self.code, self.node_looks = 0, True
        self._brought, self._seen = b"", {}
        self.taken = []
        """What was in the replica's file whenever the hook was run."""
        world.cluster.programs = {"cat": self.cat, "kill": self.hook}

    def bring(self):
        """The node's part: the replica's file becomes what the Secret has, where it was told to look."""
        noted = dict(self.world.cluster.lives[self.namespace].notes)
        if self.node_looks and noted != self._seen:
            self._brought, self._seen = self.certificate, noted

    async def cat(self, command):
        self.bring()
        await command.write(self._brought)
        return 0

    async def hook(self, _):
        self.taken.append(self._brought)
        return self.code

    @property
    def namespace(self):
        return self.parts.pods.get(self.caller.ref.channel).namespace

    @property
    def objects(self):
        return objects_of(self.parts, self.world, self.caller)

    @property
    def held(self):
        return self.objects["Secret", "keys"]["data"]

    @property
    def certificate(self):
        return base64.b64decode(self.held["tls.pem"])

    @property
    def due(self):
        return RELOAD_DUE_KEY in self.objects["Secret", BOOK_SECRET]["data"]

    @property
    def told(self):
        return [one.words for one in self.world.cluster.ran if one.words[0] == "kill"]

    def age(self):
        """Put a certificate there that was made so long ago that it is due; returns it."""
        form = self.caller.manifest.spec.volumes[0].secret.generate
        made = MadeFiles({"tls.key": base64.b64decode(self.held["tls.key"])})
        at = int(self.world.now) - LATER_S
        old = with_certificates(form, made, [], secrets.token_bytes, at).files["tls.pem"]
        self.held["tls.pem"] = base64.b64encode(old).decode()
        self._brought = old
        return old

    async def look(self):
        await CertificateRenewal(self.parts.pods, self.parts.bundles, self.parts.books).look()


@pytest.fixture
async def pod(tmp_path, request):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        made = CertifiedPod(world, parts, address, request.param)
        await made.caller.provision()
        yield made


@pytest.mark.parametrize("pod", ["reload"], indirect=True)
async def test_it_is_renewed_in_time_and_replicas_are_told_once(pod):
    first, key = pod.certificate, pod.held["tls.key"]
    await pod.look()
    assert (pod.certificate, pod.told) == (first, []), "it is good for months"
    old, workload = pod.age(), dict(pod.objects["Deployment", "pod"])
    await pod.look()
    assert pod.certificate not in (old, first)
    assert pod.held["tls.key"] == key
    assert pod.objects["Deployment", "pod"] == workload, "nothing restarts"
    assert (pod.told, pod.due) == ([["kill", "-HUP", "1"]], False)
    assert pod.taken == [pod.certificate]
    await pod.look()
    assert len(pod.told) == 1


@pytest.mark.parametrize("pod", ["restart"], indirect=True)
async def test_replicas_that_do_not_reload_are_made_anew(pod):
    def note():
        template = pod.objects["Deployment", "pod"]["spec"]["template"]
        return template["metadata"]["annotations"][RENDERED_NOTE]

    before = note()
    pod.age()
    await pod.look()
    assert note() != before
    assert not pod.due


@pytest.mark.parametrize("pod", ["reload"], indirect=True)
async def test_a_hook_that_failed_is_run_with_the_next_look(pod, caplog):
    pod.age()
    pod.code = 3
    await pod.look()
    assert pod.due
    assert "its certificates are not renewed: replica" in caplog.text
    renewed, pod.code = pod.certificate, 0
    await pod.look()
    assert (pod.certificate, len(pod.told), pod.due) == (renewed, 2, False)


async def test_a_hook_that_was_not_run_is_run_though_no_client_comes_again(node, caplog):
    """As after the daemon was killed between the new file and the hook: the pod has no certificate."""

    async def look():
        await CertificateRenewal(node.parts.pods, node.parts.bundles, node.parts.books).look()

    await look()
    assert node.ran == [], "nothing is due"
    node.code = 3
    with pytest.raises(Refused):
        await node.moved(30002)
    await look()
    assert "its hook was not run: replica" in caplog.text
    assert (len(node.ran), node.due) == (2, True)
    node.code = 0
    await look()
    await look()
    assert (len(node.ran), node.due) == (3, False)


@pytest.mark.parametrize("pod", ["reload"], indirect=True)
async def test_no_hook_is_run_before_the_certificate_is_there(pod, virtual_time, caplog):
    old = pod.age()
    pod.node_looks = False
    await pod.look()
    assert pod.certificate != old
    assert (pod.told, pod.due) == ([], True)
    assert f"the new /keys/tls.pem was not there within {ARRIVES_WITHIN_S:.0f} s" in caplog.text
    pod.node_looks = True
    await pod.look()
    assert (pod.taken, pod.due) == ([pod.certificate], False)


class Odd:
    """Ways in which a pod is odd: what stands in the cluster of it, or what a fault of ours makes of it."""

    @staticmethod
    def no_key(pod, _):
        pod.held["tls.key"] = base64.b64encode(b"no key").decode()
        return "tls.key holds no p256 key any more"

    @staticmethod
    def fault(pod, monkeypatch):
        cluster, namespace = pod.world.cluster, pod.namespace
        found = cluster.made_files

        async def made_files(asked, name):
            if asked == namespace:
                raise LookupError("a fault")
            return await found(asked, name)

        monkeypatch.setattr(cluster, "made_files", made_files)
        return "LookupError('a fault')"


@pytest.mark.parametrize("way", [Odd.no_key, Odd.fault])
async def test_one_odd_pod_does_not_end_the_renewal_of_those_behind_it(tmp_path, way, monkeypatch, caplog):
    world = a_world(tmp_path)
    async with world.run() as (parts, address):
        odd, sound = (CertifiedPod(world, parts, address, "restart") for _ in range(2))
        for one in (odd, sound):
            await one.caller.provision()
        assert [one.channel for one in parts.pods.standing] == [
            one.caller.ref.channel for one in (odd, sound)
        ]
        why, old = way(odd, monkeypatch), sound.age()
        await sound.look()
        assert sound.certificate != old
        assert why in caplog.text


@pytest.mark.parametrize("pod", ["reload"], indirect=True)
async def test_what_a_kill_left_undone_is_done(pod, monkeypatch):
    """Killed at each write: what is due is noted before the new certificate is."""
    cluster = pod.world.cluster
    write, left = cluster.apply, [0]

    async def until_killed(made):
        if not left[0]:
            raise Refused("the daemon was killed")
        left[0] -= 1
        await write(made)

    for writes in range(3):
        pod.age()
        ran = len(pod.told)
        left[0] = writes
        monkeypatch.setattr(cluster, "apply", until_killed)
        await pod.look()
        assert pod.due is (writes > 0)
        monkeypatch.setattr(cluster, "apply", write)
        await pod.look()
        assert len(pod.told) > ran
        assert not pod.due
