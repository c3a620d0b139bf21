# SPDX-License-Identifier: Apache-2.0
"""The verb `exec`: this process's input and outputs become those of a command in a pod."""

import functools
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from trustedpods.publisher.commands.options import Common, Run, located, pod_name
from trustedpods.publisher.commands.shell.completion import complete_pod
from trustedpods.publisher.commands.shell.verbs import WrongWords

if TYPE_CHECKING:
    from trustedpods.protocol.ids import Address
    from trustedpods.protocol.messages.exec import ExecBody, TerminalBody
    from trustedpods.publisher.commands.streams.raw_terminal import RawTerminal
    from trustedpods.publisher.results.pods import ExecResult

F = TypeVar("F", bound=Callable[..., Any])

OURS = 240
"""Added to our own exit codes, so that a script can tell them from the command's, which come as they are."""

BROKEN_PIPE = 141
"""Exit code when whoever read our output went away: as of a program that SIGPIPE ended (128 + 13)."""


class _WrongWords(WrongWords):
    """A wrong command line, with an exit code of ours."""

    exit_code = OURS + 2


_SAID = frozenset({"--quiet", "--verbose"})
"""Options of ours that many commands have too: in doubt they are not taken away from one."""


class _Command(click.Command):
    """Its usage errors are ours too, and without `--` it is asked whose an option is that both may have."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does."""
        mine = args[: args.index("--")] if "--" in args else args
        begun = next((place for place, word in enumerate(mine) if not word.startswith("-")), len(mine))
        if "--" not in args and (meant := [word for word in mine[begun:] if word in _SAID]):
            raise _WrongWords(f"{meant[0]} may be the command's: write `--` before CMD", ctx)
        return super().parse_args(ctx, args)

    def make_context(self, *arguments: Any, **more: Any) -> click.Context:  # noqa: ANN401 - as click has it
        """As click makes it; a wrong command line ends with 242."""
        try:
            return super().make_context(*arguments, **more)
        except click.UsageError as error:
            raise _WrongWords(error.format_message(), error.ctx) from None


@dataclass(frozen=True, slots=True)
class _Words:
    """A command, and how it is to be run."""

    command: tuple[str, ...]
    container: str | None
    replica: str | None
    stdin: bool
    raw: bool
    terminal: bool


def _input(force: bool, never: bool, terminal: bool) -> bool:
    """Whether input is passed on."""
    if never and (force or terminal):
        raise _WrongWords("-n excludes -i and -t", click.get_current_context())
    return not never and (force or passes_on(sys.stdin))


def _command_words(verb: F) -> F:
    """Add CMD and the options on how it is run to a verb, which gets `words`."""

    @click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- CMD...")
    @click.option("-c", "--container", metavar="NAME", help="Another container than the pod's first.")
    @click.option("--replica", metavar="NAME|N", help="Another replica than the newest one that is ready.")
    @click.option("-i", "--stdin", "force", is_flag=True, help="Pass input on, also from a terminal.")
    @click.option(
        "-n", "--no-stdin", "never", is_flag=True, help="Pass no input on, also from a pipe or file."
    )
    @click.option(
        "-t", "--tty", "terminal", is_flag=True, help="Run it on a terminal: this one, until it ends."
    )
    @click.option("--raw", is_flag=True, help="Output as it is, also on a terminal.")
    @functools.wraps(verb)
    def wrapped(**arguments: Any) -> Any:  # noqa: ANN401
        stdin = _input(arguments.pop("force"), arguments.pop("never"), arguments["terminal"])
        said = {name: arguments.pop(name) for name in ("command", "container", "replica", "raw", "terminal")}
        return verb(words=_Words(stdin=stdin, **said), **arguments)

    return cast("F", wrapped)


@click.command(
    "exec",
    cls=_Command,
    epilog="""\b
Examples:
  trustedpods exec -it web -- sh
  trustedpods exec web -- ls -l /data
  trustedpods exec db -- pg_dump --clean app > app.sql
  trustedpods exec db -- psql app < app.sql
  trustedpods exec db -c app --replica 1 -- cat /etc/hostname
\b
Exit codes: the command's own (128 + n after a signal n); 240 + the code of `trustedpods --help`
where the command's end is not known: 242 bad input, 246 refused, 248 network, 249 evidence.
""",
)
@click.argument("name", callback=pod_name, shell_complete=complete_pod)
@_command_words
@located
def execute(options: Common, name: str, words: _Words) -> None:
    """Run CMD in a container of the pod NAME that runs; wake a pod that sleeps first.

    With -it it runs on your terminal: every key goes to it, Ctrl-C too, and the window's size. Without -t
    input is passed on from a pipe or a file, until its end; from a terminal only with -i. Output and errors
    stay apart then. When this process ends first, the command's input ends: what reads it ends too, what
    does not runs to its own end, unheard. A network that pauses is waited for.
    """
    _execute(options, lambda _: name, words)


@click.command(
    "exec",
    cls=_Command,
    epilog="""\b
Examples:
  trustedpods network exec shop db -- psql -c 'select 1'
  trustedpods network exec 0x7099…/shop node-1 -- geth attach --exec eth.blockNumber
""",
)
@click.argument("network", metavar="[FOUNDER/]NAME")
@click.argument("node")
@_command_words
@located
def execute_in_node(options: Common, network: str, node: str, words: _Words) -> None:
    """Run CMD in NODE of the network NAME, as `trustedpods exec` does in a pod."""

    def pod(who: "Address") -> str:
        from trustedpods.publisher.core.networks.plan import pod_name as pod_of_node
        from trustedpods.publisher.verbs.networks.places import parse_network

        return pod_of_node(parse_network(network, who), node)

    _execute(options, pod, words)


def _execute(options: Common, pod: "Callable[[Address], str]", words: _Words) -> None:
    """Run the command of *words* in the pod that *pod* says for whoever asks, and end as it does."""
    run = Run(options, code_base=OURS)

    async def work() -> "ExecResult | None":
        terminal = _terminal() if words.terminal else None
        opening = run.account()
        from trustedpods.publisher.results.pods import VisitProgress
        from trustedpods.publisher.verbs.running.exec import execute

        body = _body(words, terminal)
        read = _read if terminal is None else terminal.read
        write = _Outputs(raw=words.raw or words.terminal).write
        async with opening as account:
            try:
                name = pod(account.publisher.address)
                progress = VisitProgress()
                return await execute(account, name, body, read, write, progress, run.journal, terminal)
            except BrokenPipeError:
                return None

    result = run.finish(work, lambda _: [])
    if result is None:
        os._exit(BROKEN_PIPE)  # an ordinary exit would write what Python still holds, and complain
    sys.exit(result.exit_code)


def _terminal() -> "RawTerminal":
    from trustedpods.publisher.commands.streams.raw_terminal import RawTerminal

    return RawTerminal()


def _body(words: _Words, terminal: "RawTerminal | None") -> "ExecBody | TerminalBody":
    from trustedpods.publisher.verbs.running.exec import make_body, make_terminal_body

    where = {"container": words.container, "replica": words.replica}
    if terminal is not None:
        return make_terminal_body(words.command, terminal.size(), **where)
    return make_body(words.command, stdin=words.stdin, **where)


def passes_on(stream: IO[str] | None) -> bool:
    """Whether input comes from a pipe, a socket or a file: a terminal and a closed one have none to give."""
    if stream is None:
        return False
    try:
        kind = os.fstat(stream.fileno()).st_mode
    except (OSError, ValueError):
        return False
    return stat.S_ISFIFO(kind) or stat.S_ISREG(kind) or stat.S_ISSOCK(kind)


async def _read(most: int) -> bytes:
    """A thread waits for input, and is left behind when the command has ended before its input."""
    import trio

    return await trio.to_thread.run_sync(os.read, sys.stdin.fileno(), most, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs


class _Outputs:
    """The command's outputs on ours: into a pipe as they are, on a terminal what can be printed."""

    def __init__(self, *, raw: bool) -> None:
        from trustedpods.publisher.output.terminal import CommandOutput

        self._streams = {
            "stdout": CommandOutput(sys.stdout, raw=raw),
            "stderr": CommandOutput(sys.stderr, raw=raw),
        }

    async def write(self, stream: str, data: bytes) -> None:
        """A reader that pauses holds the command back."""
        import trio

        await trio.to_thread.run_sync(self._streams[stream].write, data, abandon_on_cancel=True)  # type: ignore[call-arg]  # old stubs
