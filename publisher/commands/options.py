# SPDX-License-Identifier: Apache-2.0
"""Options that every verb has, and how a verb is run: errors, exit codes, JSON, Ctrl-C."""

import functools
import os
import sys
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast, get_args

import click

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager

    from trustedpods.protocol.errors import TrustedPodsError
    from trustedpods.publisher.context import MarketFile
    from trustedpods.publisher.images.opening import ImageOpening
    from trustedpods.publisher.keyfile import Key
    from trustedpods.publisher.market.market import MarketAccount
    from trustedpods.publisher.output.json_of import Answer
    from trustedpods.publisher.output.terminal import PlainShow
    from trustedpods.publisher.payers.payer import Payer
    from trustedpods.publisher.results.deployed import DeployPlanResult

F = TypeVar("F", bound=Callable[..., Any])
R = TypeVar("R")

INTERRUPTED = 130
"""Exit code after Ctrl-C, as shells have it."""

DEBUG_VARIABLE = "TRUSTEDPODS_DEBUG"
"""When set, an error of ours that should not happen prints its trace."""


OutputForm = Literal["text", "wide", "json", "yaml", "name"]
"""What is printed: for a person, with all columns of a table, one object for a program, or names alone."""

_UNNAMED = tuple(form for form in get_args(OutputForm) if form != "name")
"""Forms of a verb whose answer has no names."""


@dataclass(frozen=True, slots=True)
class Common:
    """The options that every verb has."""

    market: str | None
    key: str | None
    form: OutputForm = "text"
    quiet: bool = False
    verbose: bool = False

    @property
    def as_json(self) -> bool:
        """Whether a program reads it: one object, as JSON or as YAML."""
        return self.form in ("json", "yaml")


def waits(help_text: str) -> Callable[[F], F]:
    """Add --wait DURATION; *help_text* says for what, and for how long where it is not given."""
    return click.option("--wait", metavar="DURATION", help=help_text)


def wait_seconds(text: str | None, otherwise: float = 0.0) -> float:
    """What `--wait` says, or *otherwise* where it is not given. Raises BadInput."""
    if text is None:
        return otherwise
    from trustedpods.publisher.core.money import parse_duration

    return float(parse_duration(text, "--wait"))


def paid_by(verb: F) -> F:
    """Add --payer to a verb that pays in."""
    text = "Who brings the deposit: ADDRESS@SIGNER or safe:ADDRESS (else $TRUSTEDPODS_PAYER)."
    return click.option("--payer", metavar="PAYER", help=text)(verb)


WAIT_HELP = (
    "How long to wait for a provider that goes away in the middle (60s if not said), and for another verb "
    "here that has the pod (0s)."
)
"""Of `--wait`, where a version is sent."""

TURN_HELP = "How long to wait for another verb here that has the pod; not at all if not said."
"""Of `--wait`, where nothing else is waited for."""


def common(verb: F) -> F:
    """Add --market, --key, -o and how much is said; the verb gets them as its first argument, a `Common`."""
    return _with_output(verb, _UNNAMED)


def named(verb: F) -> F:
    """The same for a verb that makes or lists something with a name: `-o name` prints names alone."""
    return _with_output(verb, get_args(OutputForm))


def _with_output(verb: F, forms: Sequence[str]) -> F:
    choice = click.Choice(forms)
    return click.option("-o", "--output", type=choice, default="text", help="What to print.")(located(verb))


def located(verb: F) -> F:
    """The same for a verb whose output is somebody else's: without -o."""

    @click.option("--market", metavar="FILE", help="Market file (else $TRUSTEDPODS_MARKET).")
    @click.option("--key", metavar="FILE", help="Key file (else $TRUSTEDPODS_KEY).")
    @click.option("--quiet", is_flag=True, help="Say nothing but warnings, questions and errors.")
    @click.option("--verbose", is_flag=True, help="Say also what is asked of whom, a line each.")
    @functools.wraps(verb)
    def wrapped(
        market: str | None,
        key: str | None,
        output: OutputForm = "text",
        *,
        quiet: bool,
        verbose: bool,
        **arguments: Any,  # noqa: ANN401 - the verb's own
    ) -> Any:  # noqa: ANN401 - as above
        if quiet and verbose:
            raise click.UsageError("--quiet excludes --verbose")
        return verb(Common(market, key, output, quiet, verbose), **arguments)

    return cast("F", wrapped)


def pod_name(context: click.Context, parameter: click.Parameter, value: str | None) -> str | None:
    """A click callback: the value is a pod's name, or a usage error."""
    from trustedpods.protocol.errors import BadInput
    from trustedpods.publisher.core.names import check_name

    try:
        return None if value is None else check_name(value)
    except BadInput as error:
        raise click.BadParameter(f"{error.what} ({error.hint})", context, parameter) from None


def form_of(result: object) -> "Answer":
    """A result as JSON, nothing for none; only now its form is imported."""
    if result is None:
        return {}
    from trustedpods.publisher.output.json_of import json_of

    return json_of(result)


def _load_printing() -> None:
    """Import what prints a pod's result as JSON: else all wait for that once the pod serves."""
    import_module("trustedpods.publisher.output.json_run")
    import_module("trustedpods.publisher.output.json_pods")


def verb_typed() -> str:
    """The verb that runs, as it was typed: `provider list`; empty outside of a command."""
    context = click.get_current_context(silent=True)
    if context is None:
        return ""
    return context.command_path.removeprefix(context.find_root().command_path).strip()


_OF_CLASS = {
    "no-context": "`trustedpods context list` shows which market and key are meant",
    "locked": "wait until the other has ended, then run it again; most verbs wait so with --wait DURATION",
    "copies-differ": "`trustedpods state repair` lets one of the copies count",
    "refused": "mend what it names, or choose another provider, then run it again",
    "funds": "`trustedpods balance` shows what there is; docs/money.md says where tokens and gas come from",
    "network": "run the same command again: it goes on where it was",
    "store": "make room, or mend what it names, then run the same command again",
    "evidence": "choose another provider; `trustedpods attest` shows what it proves (docs/attestation.md)",
    "remote-protocol": "run it again; where it stays, the other side is broken or hostile: choose another",
}
"""What to do about an error by its code, where nobody knows more."""


def _advice(error: "TrustedPodsError") -> str | None:
    """What to do about an *error* that does not say it itself: by its rule, else by its code."""
    from trustedpods.protocol.rules.all_rules import rule_named

    found = None if error.rule is None else rule_named(error.rule)
    return _OF_CLASS.get(error.code) if found is None else f"{found.advice} (docs/errors.md)"


class Run:
    """One run of a verb; *code_base* is added to its exit codes after an error."""

    def __init__(self, common: Common, code_base: int = 0) -> None:
        from trustedpods.publisher.journal import Journal
        from trustedpods.publisher.output.terminal import make_show

        self.common = common
        self._code_base = code_base
        self.show: PlainShow = make_show(as_json=common.as_json, quiet=common.quiet)
        if common.verbose:
            from trustedpods.publisher.commands.shell.asked import say_what_is_asked

            say_what_is_asked(self.show)
        self.journal: Journal = Journal(self.show)
        if common.as_json:
            self.journal.while_waiting = _load_printing
        self.progress: object = None
        """What the verb fills, to be told after an error."""

    def market(self) -> "MarketFile":
        """The market that is meant."""
        from trustedpods.publisher.context import load_market

        return load_market(self.common.market)

    def key(self) -> "Key":
        """The key that is meant; asks for a keystore's password only on a terminal."""
        from trustedpods.publisher.keyfile import load_key

        ask = functools.partial(click.prompt, hide_input=True, err=True) if sys.stdin.isatty() else None
        return load_key(self.common.key, warn=self.show.warning, ask=ask)

    def key_if_any(self) -> "Key | None":
        """The same, for what can do without: None where none is set."""
        from trustedpods.protocol.errors import NoContext

        try:
            return self.key()
        except NoContext:
            if self.common.key:
                raise
            self.show.warning("no key is set: names and addresses are those of one that is made up")
            return None

    def asks_no_payer(self) -> None:
        """Say of a verb that pays what the key's address has: the payer that is named is not asked."""
        from trustedpods.publisher.payers.payer import is_named

        if is_named():
            self.show.warning(f"{verb_typed()} asks no payer: it pays from what the key's address has")

    @contextmanager
    def opening(self, *, offline: bool = False, builder: str | None = None) -> Iterator["ImageOpening"]:
        """How images are opened within: told of as the rest of the run, and ended by Ctrl-C at once."""
        from trustedpods.publisher.commands.interrupts import at_once
        from trustedpods.publisher.images.opening import ImageOpening

        with at_once():
            yield ImageOpening(self.show, offline, builder)

    def account(
        self, turn_s: float = 0.0, payer: "Payer | None" = None, payer_s: float | None = None
    ) -> "AbstractAsyncContextManager[MarketAccount]":
        """The market and the key, to be entered; what is missing is said before slow imports.

        *turn_s*: how long another verb on this machine that has the pod is waited for. *payer* brings what a
        deposit lacks, and is waited for *payer_s*, else as long as is usual for it.
        """
        market, key = self.market(), self.key()
        from trustedpods.publisher.market.market import open_account
        from trustedpods.publisher.market.timing import Timing

        timing = click.get_current_context().find_object(Timing) or Timing()
        return open_account(market, key, replace(timing, turn_s=turn_s, payer_s=payer_s), payer)

    def finish(self, work: Callable[[], Awaitable[R]], lines: Callable[[R], Sequence[str]]) -> R:
        """Run *work* under trio and print its result, as *lines* or as JSON; exit when it fails."""
        from trustedpods.publisher.commands import interrupts

        return self.guard(lambda: interrupts.run(work), lines)

    def guard(
        self,
        work: Callable[[], R],
        lines: Callable[[R], Sequence[str]],
        form: "Callable[[R], Answer]" = form_of,
    ) -> R:
        """The same for work without trio; *form* is its JSON."""
        from trustedpods.publisher.output.terminal import print_lines

        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - the last place that can say what happened
            sys.exit(self._failed(error))
        self.show.close()
        if self.common.as_json:
            from trustedpods.publisher.output.json_run import run_json

            self._print_object(run_json(form(result), self.journal, verb=verb_typed()))
        elif self.common.form == "name":
            from trustedpods.publisher.commands.lines.names import names_of

            print_lines(names_of(verb_typed(), form(result)))
        else:
            print_lines(lines(result))
        return result

    def _failed(self, raised: BaseException) -> int:
        from trustedpods.protocol.errors import BadInput, TrustedPodsError, most_telling
        from trustedpods.publisher.output.terminal import print_error

        error = most_telling(raised)
        self.show.close()
        if isinstance(error, KeyboardInterrupt | click.Abort):
            click.echo("interrupted", err=True)
            if self.journal.if_interrupted:
                click.echo(f"hint: {self.journal.if_interrupted}", err=True)
            return INTERRUPTED
        if isinstance(error, SystemExit | click.ClickException):
            raise error
        if not isinstance(error, TrustedPodsError):
            if os.environ.get(DEBUG_VARIABLE):
                raise raised
            hint = f"this is a bug: run it again with {DEBUG_VARIABLE}=1 and report what it prints"
            error = TrustedPodsError(f"{type(error).__name__}: {error}", hint=hint)
        if self.common.as_json:
            self._print_failure(error)
        if error.hint is None and not isinstance(error, BadInput):
            error.hint = _advice(error)
        print_error(error, self.show)
        return self._code_base + int(error.exit_code)

    def _print_failure(self, error: "TrustedPodsError") -> None:
        from trustedpods.publisher.output.json_run import run_json

        self._print_object(run_json(form_of(self.progress), self.journal, error, verb_typed()))

    def _print_object(self, tree: "Answer") -> None:
        if self.common.form == "yaml":
            from trustedpods.publisher.commands.yaml_text import document

            click.echo(document(tree), nl=False)
            return
        from trustedpods.publisher.output.terminal import print_json

        print_json(tree)


def agreement(run: Run, *, without_terminal: bool) -> "Callable[[DeployPlanResult], bool]":
    """Who says whether what runs may change: a person on a terminal; elsewhere it is *without_terminal*."""
    if sys.stdin.isatty() and not run.common.as_json:
        return lambda made: confirmed(run, f"Change {made.pod}?", made.lines)
    return lambda _: without_terminal


def confirmed(run: Run, question: str, about: Sequence[str]) -> bool:
    """What a person says to a *question*. Nobody is asked *about* what he cannot see, however quiet it is."""
    if run.common.quiet:
        from trustedpods.publisher.output.terminal import one_line

        click.echo("\n".join(map(one_line, about)), err=True)
    return click.confirm(question, err=True)
