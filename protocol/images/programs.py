# SPDX-License-Identifier: Apache-2.0
"""Which programs must start for a container to serve, through shells and launchers, as far as is certain.

A Dockerfile's shell form (`CMD app --port 80`) is `/bin/sh -c` and a text. What a script decides when it
runs (variables, conditions, `||`) is left out: a program is named only if the container ends without it.
"""

import re
import shlex
from collections.abc import Iterator, Sequence
from posixpath import basename

SHELLS = frozenset(("sh", "ash", "bash", "dash", "ksh", "mksh", "zsh", "busybox"))

LAUNCHERS = frozenset(
    ("tini", "tini-static", "dumb-init", "catatonit", "docker-init", "env", "exec", "command", "nohup",
     "nice", "setsid", "stdbuf", "chrt", "ionice")
)  # fmt: skip
"""Programs that start the one that their options are followed by, and end with it."""

MAX_TEXT = 8192
"""Characters of a shell's text that are looked at: what is longer is a script, not a command."""

_ASSIGNMENT = re.compile(r"[A-Za-z_][A-Za-z0-9_]*=.*", re.DOTALL)
_TEXT_FOLLOWS = re.compile(r"-[A-Za-z]*c")
_REDIRECTION = re.compile(r"[0-9]*[<>]+&?")
_UNCERTAIN = frozenset(
    ("if", "then", "else", "elif", "fi", "for", "while", "until", "do", "done", "case", "esac", "select",
     "function", "time", "!", "{", "}", "[[", "(", ")", "()", ";;")
)  # fmt: skip
"""Words after which a program's start depends on more than the text."""


def needed(line: Sequence[str]) -> list[str]:
    """The words of *line* and of its shell's text that name a program without which the container ends."""
    return list(dict.fromkeys(_needed(list(line), 0)))


def _needed(words: Sequence[str], depth: int) -> Iterator[str]:
    if not words or depth > 8:
        return
    name = basename(words[0])
    yield words[0]
    rest = list(words[1:])
    if name == "busybox" and rest and rest[0] in SHELLS:
        rest = rest[1:]
    if name in SHELLS:
        text = _text_of(rest)
        if text is not None:
            yield from _of_text(text, depth + 1)
    elif name in LAUNCHERS:
        yield from _needed(_launched(rest), depth + 1)


def _launched(words: list[str]) -> list[str]:
    """What a launcher starts: behind `--`, or the first word that is neither option nor assignment."""
    if "--" in words:
        return words[words.index("--") + 1 :]
    for place, word in enumerate(words):
        if not word.startswith("-") and not _ASSIGNMENT.fullmatch(word):
            return words[place:]
    return []


def _text_of(options: Sequence[str]) -> str | None:
    """What a shell is given with -c; None for a script, or nothing."""
    value = False
    for place, word in enumerate(options):
        if _TEXT_FOLLOWS.fullmatch(word):
            return next((one for one in options[place + 1 :] if not one.startswith("-")), None)
        if not value and not word.startswith(("-", "+")):
            return None
        value = word in ("-o", "+o")
    return None


def _of_text(text: str, depth: int) -> Iterator[str]:
    """The programs of a text: those of its last command, and of those before that must succeed."""
    sequence = _commands(text)
    strict = False
    for place, chain in enumerate(sequence):
        strict = strict or (chain[0][:1] == ["set"] and any("e" in word for word in chain[0][1:2]))
        last = place == len(sequence) - 1
        for command in chain:
            words = _without_assignments(command)
            if words and (strict or last or words[0] == "exec"):
                yield from _plain(words, depth)
            if words and words[0] == "exec" and len(words) > 1:
                return


def _plain(words: list[str], depth: int) -> Iterator[str]:
    if "$" not in words[0] and "`" not in words[0]:
        yield from _needed(words, depth)


def _without_assignments(words: list[str]) -> list[str]:
    place = next((at for at, word in enumerate(words) if not _ASSIGNMENT.fullmatch(word)), len(words))
    return words[place:]


def _commands(text: str) -> list[list[list[str]]]:
    """Commands of a text, one after another, each a chain that `&&` and pipes join; only what is certain."""
    try:
        tokens = _tokens(text)
    except ValueError:
        return []
    sequence: list[list[list[str]]] = [[[]]]
    skipping = False
    for word in tokens:
        if skipping and not _REDIRECTION.fullmatch(word):
            skipping = False
        elif word == ";":
            sequence.append([[]])
        elif word in ("&&", "|"):
            sequence[-1].append([])
        elif word in ("&", "||") or word.startswith("#") or (word in _UNCERTAIN and not sequence[-1][-1]):
            return _certain(sequence[:-1])
        elif _REDIRECTION.fullmatch(word):
            skipping = True
        else:
            sequence[-1][-1].append(word)
    return [chain for chain in sequence if any(chain)]


def _certain(before: list[list[list[str]]]) -> list[list[list[str]]]:
    """What stands before something uncertain; what comes last is not the end of it."""
    return [*(chain for chain in before if any(chain)), [[]]]


def _tokens(text: str) -> list[str]:
    if len(text) > MAX_TEXT or "$(" in text or "`" in text or "<<" in text:
        return []
    lexer = shlex.shlex(text.replace("\\\n", " ").replace("\n", " ; "), posix=True, punctuation_chars=True)
    lexer.whitespace_split, lexer.commenters = True, ""
    return list(lexer)
