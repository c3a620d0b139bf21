# SPDX-License-Identifier: Apache-2.0
"""The only door to `kubectl`: a port-forward by a cluster's API server to the daemon in it.

The program and no library: a kubeconfig may name credentials of any kind (certificates, tokens, plugins of
clouds, single sign-on), and what the person uses every day knows theirs. Nothing here proves who answers:
whoever dials through it knows the peer id.
"""

import re
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import IO

import trio

from trustedpods.protocol.errors import NetworkFailure, NoContext, Refused, TrustedPodsError

PROGRAM = "kubectl"
NAMESPACE = "trustedpods-system"
SERVICE = "trustedpods-daemon"
PORT = "daemon"
"""The Service in that namespace, and its port, that lead to the daemon: docs/operator.md has the objects."""

LOOK_LIMIT_S = 20.0
"""For one look at that Service: a program that starts, perhaps a plugin that logs in, and an answer."""

MAX_LINE = 1024
"""Bytes of what the program says first, and of what is told of its error."""

_LOCAL = re.compile(rb"Forwarding from 127\.0\.0\.1:(\d{1,5}) -> ")
_ACCESS = ("(Forbidden)", " is forbidden: ", "(Unauthorized)", "You must be logged in", "provide credentials")
_PEER = "/p2p/"
_SAYS = r"trustedpods\.dev/daemon"
"""The annotation of the Service, as a JSON path has it."""


@asynccontextmanager
async def forwarded(context: str, endpoint: str) -> AsyncIterator[str]:
    """The multiaddr at which the daemon of the kubeconfig's *context* is reached while the block runs.

    It ends in the peer id of *endpoint*. NoContext without the program, the context, or the Service;
    Refused (rule `kube-access`) where the API server lets nobody forward; else NetworkFailure.
    """
    argv = [PROGRAM, f"--context={context}", f"--namespace={NAMESPACE}", "port-forward"]
    argv += ["--address=127.0.0.1", f"service/{SERVICE}", f":{PORT}"]
    with tempfile.TemporaryFile() as told:
        try:
            process = await trio.lowlevel.open_process(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=told
            )
        except OSError as error:
            raise _not_there(context, error) from None
        try:
            port = await _local_port(process, context, told)
            with _last_words(context, told):
                yield f"/ip4/127.0.0.1/tcp/{port}{endpoint[endpoint.rindex(_PEER) :]}"
        finally:
            with trio.CancelScope(shield=True):
                process.kill()
                await process.wait()


@contextmanager
def _last_words(context: str, told: IO[bytes]) -> Iterator[None]:
    """Where nobody answers behind it, the program says more than a connection that was closed."""
    try:
        yield
    except NetworkFailure as error:
        if said := _last_line(told):
            raise NetworkFailure(f"{error.what} ({PROGRAM}: {said})", where=f"context {context}") from error
        raise


async def published(context: str) -> str:
    """Which daemon the cluster of the kubeconfig's *context* says that it has: OWNER/N, or OWNER/N@/p2p/ID.

    Raises as `forwarded`, and NoContext where the Service does not say it.
    """
    argv = [PROGRAM, f"--context={context}", f"--namespace={NAMESPACE}", "get", f"service/{SERVICE}"]
    try:
        with trio.fail_after(LOOK_LIMIT_S):
            ran = await trio.run_process(
                [*argv, f"--output=jsonpath={{.metadata.annotations.{_SAYS}}}"],
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    except OSError as error:
        raise _not_there(context, error) from None
    except trio.TooSlowError:
        raise NetworkFailure(f"no answer within {LOOK_LIMIT_S:.0f} s", where=f"context {context}") from None
    if ran.returncode != 0:
        lines = ran.stderr[: 64 * MAX_LINE].decode(errors="replace").strip().splitlines()
        raise failure(context, lines[-1][:MAX_LINE] if lines else "")
    said = ran.stdout[:MAX_LINE].decode(errors="replace").strip()
    if not said:
        raise NoContext(
            f"the Service {SERVICE} does not say whose daemon it leads to",
            where=f"context {context}",
            hint="name it, CLUSTER=OWNER/N@kube:CONTEXT, or have the Service annotated (docs/operator.md)",
        )
    return said


def _not_there(context: str, error: OSError) -> NoContext:
    return NoContext(
        f"{PROGRAM} cannot be run: {error.strerror}",
        where=f"context {context}",
        hint=f"install {PROGRAM}, or name the cluster without kube:",
    )


async def _local_port(process: trio.Process, context: str, told: IO[bytes]) -> int:
    assert process.stdout is not None
    said = b""
    while len(said) < MAX_LINE:
        more = await process.stdout.receive_some(MAX_LINE)
        if not more:
            break
        said += more
        if found := _LOCAL.search(said):
            return int(found[1])
    raise failure(context, _last_line(told))


def failure(context: str, said: str) -> TrustedPodsError:
    """What a port-forward that did not begin means, by the words of the program."""
    where = f"context {context}"
    if "does not exist" in said and "context" in said:
        return NoContext(
            f"the kubeconfig has no context {context!r}",
            where=where,
            hint=f"`{PROGRAM} config get-contexts` lists them",
        )
    if any(one in said for one in _ACCESS):
        return Refused(
            f"the API server does not let you: {said}",
            where=where,
            rule="kube-access",
            hint=f"who looks after the cluster gives the rights in {NAMESPACE} (docs/operator.md)",
        )
    if "(NotFound)" in said:
        return NoContext(
            f"no daemon is published in this cluster: {said}",
            where=where,
            hint=f"its operator makes the Service {SERVICE} in {NAMESPACE} (docs/operator.md)",
        )
    return NetworkFailure(f"no port-forward to the daemon: {said or 'no word why'}", where=where)


def _last_line(told: IO[bytes]) -> str:
    told.seek(0)
    lines = told.read(64 * MAX_LINE).decode(errors="replace").strip().splitlines()
    return lines[-1][:MAX_LINE] if lines else ""
