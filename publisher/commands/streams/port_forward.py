# SPDX-License-Identifier: Apache-2.0
"""The verb `port-forward`: ports of a pod at this machine's loopback, until Ctrl-C."""

from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.options import Common, Run, located, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.results.streams.forwarded import ForwardResult


@click.command(
    "port-forward",
    epilog="""\b
Examples:
  trustedpods port-forward db 5432
  trustedpods port-forward web 9000:8080 :9090
  trustedpods port-forward web --service web 8000:80
""",
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.argument("ports", nargs=-1, required=True, metavar="[LOCAL:]PORT...")
@click.option("--service", metavar="NAME", help="The ports are those of this service.")
@click.option("--replica", metavar="NAME|N", help="Always this replica, else the newest one that is ready.")
@located
def port_forward(
    options: Common, name: str, ports: tuple[str, ...], service: str | None, replica: str | None
) -> None:
    """Connect ports of this machine to ports of the pod NAME that its manifest declares, until Ctrl-C.

    Only this machine reaches them (127.0.0.1). Without LOCAL the number here is the same, `:PORT` takes any
    free one. What goes through is sealed as every request is; a network that pauses is waited for. Neither
    wakes a pod that sleeps nor keeps one awake.
    """
    run = Run(options)

    async def work() -> None:
        from trustedpods.publisher.verbs.streams.ports import parse_ports

        pairs = parse_ports(ports)
        opening = run.account()
        import trio

        from trustedpods.publisher.output.terminal import print_lines
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.streams.port_forward import port_forward as forward

        progress, journal = VisitProgress(), run.journal
        async with (
            opening as account,
            forward(account, name, pairs, progress, journal, service=service, replica=replica) as forwarded,
        ):
            print_lines(address_lines(forwarded))
            run.show.line("Ctrl-C ends it.")
            await trio.sleep_forever()

    run.finish(work, lambda _: [])


def address_lines(result: "ForwardResult") -> list[str]:
    """Where each port is reached, first of all: a script reads up to the blank."""
    of = "" if result.service is None else f" of service {result.service}"
    return [f"{one.address} -> port {one.port}{of} of {result.pod.name}" for one in result.ports]
