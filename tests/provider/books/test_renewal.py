# SPDX-License-Identifier: Apache-2.0
"""Certificates of running pods are renewed before they end, and replicas take them; a kill loses nothing."""

import base64
import secrets

import pytest

from tests.fakes.provider.caller import Caller, manifest_of
from tests.provider.books.test_books import a_world, objects_of
from trustedpods.protocol.errors import Refused
from trustedpods.provider.books.renewal import CertificateRenewal
from trustedpods.provider.cluster.objects.network_nodes.rendered_files import (
    BOOK_SECRET,
    RELOAD_DUE_KEY,
    RENDERED_NOTE,
)
from trustedpods.provider.core.generated.certificates import RENEWED_BEFORE, VALID_FOR, with_certificates
from trustedpods.provider.core.generated.values import MadeFiles

LATER_S = int((VALID_FOR - RENEWED_BEFORE).total_seconds())
FILES = {"tls.pem": "one.ring.internal"}


class CertifiedPod:
    """A pod with a certificate, in a daemon whose renewals are looked at by hand."""

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
        self.code = 0
        world.cluster.programs = {"cat": self.cat, "kill": self.hook}

    async def cat(self, command):
        await command.write(self.certificate)
        return 0

    async def hook(self, _):
        return self.code

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
