# SPDX-License-Identifier: Apache-2.0
"""`admit`, `render` and `provision`: the questions, and the long conversation of a deploy."""

import json

import trio

from trustedpods.protocol.codec import decode
from trustedpods.protocol.errors import Refused, TrustedPodsError
from trustedpods.protocol.messages.admission import (
    MAX_RENDERED,
    AdmitBody,
    Admitted,
    RenderBody,
    Rendered,
)
from trustedpods.protocol.messages.base import Progress
from trustedpods.protocol.messages.bundle import Needs
from trustedpods.protocol.messages.pod import RestartBody, SignedStatement, Statement
from trustedpods.provider.admission.admission import Admission
from trustedpods.provider.admission.rights import superseded
from trustedpods.provider.cluster.objects.pod_objects import PodLife, objects
from trustedpods.provider.cluster.objects.secret import hidden
from trustedpods.provider.core.admission import check_hosts
from trustedpods.provider.core.pod import PodRecord
from trustedpods.provider.lifecycle.provisioning import ProvisioningSteps
from trustedpods.provider.lifecycle.workers import PodWorkers
from trustedpods.provider.pods.bundles import parse_bundle
from trustedpods.provider.pods.preview import without_files
from trustedpods.provider.pods.progress import ProgressFeed, ProgressFeeds
from trustedpods.provider.pods.records import Pods
from trustedpods.provider.server.conversations import Request
from trustedpods.provider.server.replies import Replies

MAX_PARSING = 2
"""Bundles that are being checked at once: it is pure computing, and the other tasks want their turn."""


class Provisioning:
    """The verbs by which pods come."""

    def __init__(
        self,
        admission: Admission,
        pods: Pods,
        progress: ProgressFeeds,
        workers: PodWorkers,
        provisioning_steps: ProvisioningSteps,
        domain: str,
    ) -> None:
        self._admission = admission
        self._pods = pods
        self._progress = progress
        self._workers = workers
        self._provisioning_steps = provisioning_steps
        self._domain = domain
        self._parsing = trio.CapacityLimiter(MAX_PARSING)

    async def admit(self, request: Request) -> None:
        """Says yes with what would be left, or why not. Reserves nothing."""
        body = decode(request.opened.body, AdmitBody)
        channel = request.opened.ref.channel
        record = self._pods.get(channel)
        known = record if record is not None and record in self._pods.standing else None
        label = known.label if known else ""
        check_hosts(body.hosts, label, self._domain)
        left = await self._admission.admit(body, request.opened.ref, known)
        await request.replies.send(Admitted(capacity=left), final=True)

    async def render(self, request: Request) -> None:
        """Says which objects the cluster would hold. Reserves and keeps nothing."""
        body = decode(request.opened.body, RenderBody)
        opened = await trio.to_thread.run_sync(without_files, body, limiter=self._parsing)
        record = self._admission.would_be(request.opened, opened)
        life = self._provisioning_steps.life(record, opened, record.namespace)
        shown = await self._provisioning_steps.shown(record, life, body.users)
        text = await trio.to_thread.run_sync(_rendered, shown, limiter=self._parsing)
        await request.replies.send(Rendered(objects=text), final=True)

    async def provision(self, request: Request) -> None:
        """Takes a bundle, says which blobs are missing, and follows the work to its end.

        The work goes on when this stream is dropped.
        """
        opened = await trio.to_thread.run_sync(parse_bundle, request.opened.body, limiter=self._parsing)
        with self._progress.listen(request.opened.ref.channel) as feed:
            host = request.replies.stream.remote_host
            record, serves = await self._admission.accept(request.raw, request.opened, opened, host)
            if serves:
                await self._confirm(request.replies, record)
                return
            self._workers.ensure(record.channel)
            await request.replies.send(Needs(blobs=await self._provisioning_steps.needs(record)))
            await self._follow(request, feed)

    async def restart(self, request: Request) -> None:
        """Says what a restart does, and unless that is all that is asked, does it and follows the work.

        The work goes on when this stream is dropped.
        """
        body = decode(request.opened.body, RestartBody)
        plan = self._admission.restart_plan(request.opened)
        if plan is None and body.plan_only:
            raise Refused("a restart is under way already", rule="not-serving")
        if plan is not None:
            await request.replies.send(plan, final=body.plan_only)
        if body.plan_only:
            return
        with self._progress.listen(request.opened.ref.channel) as feed:
            record = await self._admission.restart(request.opened)
            self._workers.ensure(record.channel)
            await self._follow(request, feed)

    async def _follow(self, request: Request, feed: ProgressFeed) -> None:
        """Pass on what the work tells, up to the statement that ends it."""
        async for line in feed:
            if isinstance(line, TrustedPodsError):
                raise line
            if isinstance(line, Progress):
                await request.replies.send(line)
            else:
                await request.replies.send(await self._statement_for(request, line), final=True)

    async def _statement_for(self, request: Request, made: SignedStatement) -> SignedStatement:
        """The word to this request when the pod serves; Refused where a newer request was taken since.

        The same bundle may come twice, from two machines: one piece of work, of which the newer has the word.
        """
        record, asked = self._pods.get(request.opened.ref.channel), request.opened.generation
        if record is not None and record.generation > asked:
            raise superseded(asked, record.generation)
        if record is None or decode(made.statement, Statement).generation == asked:
            return made
        return await self._provisioning_steps.restate(record)

    async def _confirm(self, replies: Replies, record: PodRecord) -> None:
        """Nothing changed: the same pod, confirmed for the newer generation."""
        await replies.send(Needs(blobs=[]))
        statement = await self._provisioning_steps.restate(record)
        await replies.send(statement, final=True)


def _rendered(life: PodLife) -> bytes:
    """The objects as JSON. Refused (rule `render-size`) where a short manifest becomes too much to send."""
    text = json.dumps([hidden(one) for one in objects(life)]).encode()
    if len(text) > MAX_RENDERED:
        raise Refused(
            f"the pod's objects are {len(text)} bytes, and a reply has room for {MAX_RENDERED}",
            rule="render-size",
            hint="fewer ports and address blocks in `network.egress` make it shorter",
        )
    return text
