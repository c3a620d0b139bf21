# SPDX-License-Identifier: Apache-2.0
"""The verb `logs`: what containers wrote, and, followed, what they write."""

import os
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import click

from trustedpods.publisher.commands.exec import BROKEN_PIPE
from trustedpods.publisher.commands.options import Common, Run, common, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod

if TYPE_CHECKING:
    from trustedpods.publisher.output.answers.shell import LogLineJson
    from trustedpods.publisher.results.pods import LogPiece, LogsResult
    from trustedpods.publisher.results.streams.followed import FollowedLogLine
    from trustedpods.publisher.verbs.streams.following import FollowOptions, LogFeed


@click.command(
    epilog="""\b
Examples:
  trustedpods logs web
  trustedpods logs web --container app --tail 20
  trustedpods logs web --since 2h
  trustedpods logs web -f
  trustedpods logs web -f --tail 0 -o json
  trustedpods logs web --previous
"""
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@click.option("-c", "--container", metavar="NAME", help="Only this container.")
@click.option(
    "--tail",
    type=click.IntRange(0, 10_000),
    default=100,
    show_default=True,
    help="Last lines; 0, with -f, for those to come alone.",
)
@click.option("--since", metavar="DURATION", help="Only lines of the last 5m, 2h, 7d.")
@click.option("-f", "--follow", is_flag=True, help="Go on as lines come, of all replicas, until Ctrl-C.")
@click.option("-p", "--previous", is_flag=True, help="Of the runs that ended, as far as they are kept.")
@click.option("--raw", is_flag=True, help="Bytes as they are, also on a terminal.")
@common
def logs(
    options: Common,
    name: str,
    container: str | None,
    tail: int,
    since: str | None,
    *,
    follow: bool,
    previous: bool,
    raw: bool,
) -> None:
    """What a container of the pod NAME wrote; where no replica runs, what the last one did.

    Readable on a terminal, as it is into a pipe or a file. The end of the last three runs of each
    container is kept, 32 KiB of each.

    With -f lines of all replicas and containers come as they are written, each with its replica and container
    where there are several: also of replicas that join, and after a restart, an update or a sleep. A network
    that pauses is waited for, and a connection that is lost is made again behind the last line. It ends with
    the pod. With -o json each line is one object.
    """
    if follow and previous:
        raise click.UsageError("-f excludes --previous")
    if follow and options.form == "yaml":
        raise click.UsageError("-f has -o json, one object a line, and no -o yaml")
    if tail == 0 and not follow:
        raise click.UsageError("--tail 0 has no lines without -f")
    if follow:
        _follow(options, name, container, tail, since, raw=raw)
    else:
        _plain(options, name, container, tail, since, previous=previous, raw=raw)


def _seconds(since: str | None) -> int | None:
    from trustedpods.publisher.core.money import parse_duration

    return None if since is None else max(1, parse_duration(since, "--since"))


def _plain(
    options: Common,
    name: str,
    container: str | None,
    tail: int,
    since: str | None,
    *,
    previous: bool,
    raw: bool,
) -> None:
    run = Run(options)
    pieces: list[LogPiece] = []
    from trustedpods.publisher.output.terminal import LogOutput

    shown = LogOutput(sys.stdout, raw=raw)

    def write(piece: "LogPiece") -> None:
        if options.as_json:
            pieces.append(piece)
            return
        if piece.ended_at is not None:
            from trustedpods.publisher.commands.lines.moments import moment

            run.show.line(f"{piece.container} of {piece.replica}, ended {moment(piece.ended_at)}:")
        shown.write(f"{piece.container}/{piece.replica}", piece.data)

    async def work() -> "LogsResult":
        since_s = _seconds(since)
        opening = run.account()
        from trustedpods.protocol.messages.pod import LogsBody
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.pods import logs

        body = LogsBody(container=container, tail=tail, previous=previous, since_s=since_s)
        run.progress = progress = VisitProgress()
        async with opening as account:
            written = await logs(account, name, body, write, progress, run.journal)
        return replace(written, pieces=tuple(pieces))

    run.finish(work, lambda _: [])


def _follow(
    options: Common, name: str, container: str | None, tail: int, since: str | None, *, raw: bool
) -> None:
    run = Run(replace(options, form="text"))  # what is said besides the lines goes to standard error

    async def work() -> bool:
        from trustedpods.publisher.verbs.streams.following import FollowOptions

        wanted = FollowOptions(container, tail, _seconds(since))
        try:
            await _show(run, name, wanted, raw=raw, as_json=options.as_json)
        except BrokenPipeError:  # whoever read has ended, as `head` does
            return False
        return True

    if not run.finish(work, lambda _: []):
        os._exit(BROKEN_PIPE)  # an ordinary exit would write what Python still holds, and complain


async def _show(run: Run, name: str, wanted: "FollowOptions", *, raw: bool, as_json: bool) -> None:
    opening = run.account()
    from trustedpods.publisher.results.pods import VisitProgress
    from trustedpods.publisher.verbs.streams.following import follow_logs

    async with opening as account, follow_logs(account, name, wanted, VisitProgress(), run.journal) as feed:
        await _write(run, feed, raw=raw, as_json=as_json)
        run.show.line(f"no more lines come: {feed.ended}")


def line_json(line: "FollowedLogLine") -> "LogLineJson":
    """A line as `-o json` prints it."""
    return {"time": line.time, "replica": line.replica, "container": line.container, "text": line.text}


async def _write(run: Run, feed: "LogFeed", *, raw: bool, as_json: bool) -> None:
    """Each line as it comes; those that nobody took in time are told of on standard error."""
    from trustedpods.publisher.output.terminal import LogOutput, print_json_line

    shown = LogOutput(sys.stdout, raw=raw)
    async for line in feed:
        source = f"{line.replica}/{line.container}"
        if line.dropped:
            run.show.warning(f"{source}: {line.dropped} lines were left out, as nobody took them in time")
        elif as_json:
            print_json_line(line_json(line))
        else:
            before = f"[{source}] ".encode() if feed.several else b""
            shown.write(source, before + line.data + b"\n")
