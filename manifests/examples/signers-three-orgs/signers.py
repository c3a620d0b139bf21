#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Three signing nodes of three owners: each makes his own files, and has his step in the making of the key.

    python signers.py files WHO [FOLDER]     # each owner, once: signers.yaml, and keys/ with a password
    python signers.py propose POD WHO WHO    # one of them, once all are linked: with these others
    python signers.py join POD               # each of the others
    python signers.py execute POD            # the first again: three shares, of which two sign

WHO is the name by which the others call an owner (`--as WHO`). The steps run `trustedpods exec POD` in one's
own node, and in no other's. The standard library is enough.
"""

import argparse
import errno
import os
import secrets
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
THRESHOLD = 2
"""Of three: one owner alone signs nothing, and one who is away stops nobody."""

SCHEME = "bls-unchained-g1-rfc9380"
PERIOD = "3s"
GENESIS_DELAY = "10s"
"""From the proposal to the first round. Who has the key only later makes up for the rounds between."""

PROPOSAL = "/data/proposal.toml"
OWN = "/data/drand/multibeacon/default/key/drand_id.public"
COPIED = ("front.conf", "peers.pem", "schema.sql")


def write(path: Path, text: str) -> None:
    """A file that this user alone reads, whole or not at all."""
    part = path.with_name(f"{path.name}.part")
    part.unlink(missing_ok=True)
    with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(text)
    part.rename(path)


def files(who: str, folder: Path) -> None:
    """This owner's files; FileExistsError where signers.yaml is there, which is made last.

    What was interrupted is done again, with the password that it made: a node keeps it.
    """
    if (network := folder / "signers.yaml").exists():
        raise FileExistsError(errno.EEXIST, "made already", str(network))
    (folder / "keys").mkdir(mode=0o700, exist_ok=True)
    kept = folder / "keys" / "password"
    password = kept.read_text() if kept.exists() else secrets.token_hex(16)
    dsn = f"postgres://postgres:{password}@127.0.0.1:5432/postgres?sslmode=disable&connect_timeout=5"
    settings = {"db": "postgres", "pg_dsn": dsn, "scheme": SCHEME}
    write(kept, password)
    write(
        folder / "keys" / "config.toml", "".join(f'{name} = "{value}"\n' for name, value in settings.items())
    )
    if folder != HERE:
        for name in COPIED:
            (folder / name).write_text((HERE / name).read_text())
    write(network, (HERE / "signers.template.yaml").read_text().replace("WHO", who))


def run(pod: str, *words: str) -> None:
    """Run one command beside drand at one's own node; SystemExit with its words where it fails."""
    command = ["trustedpods", "exec", pod, "-c", "drand", "--", *words]
    done = subprocess.run(  # noqa: S603  (fixed words of this file)
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(words[:3])} at {pod}: {done.stdout}{done.stderr}")


def dkg(pod: str, *words: str) -> None:
    """One step in the making of the key."""
    run(pod, "drand", "dkg", words[0], "--id", "default", *words[1:])


def propose(pod: str, others: list[str]) -> None:
    """Ask all for a key together: drand asks each of the others who it is, by TLS.

    Its own name leads nowhere in a node, so what it is itself comes from its folder.
    """
    joiners = [word for who in others for word in ("--joiner", f"{who}-signer.signers.internal:8443")]
    dkg(pod, "generate-proposal", *joiners, "--out", PROPOSAL)
    run(
        pod,
        "sh",
        "-c",
        f"(echo; echo '[[Joining]]'; grep -E '^(Address|Key|Signature) ' {OWN}) >> {PROPOSAL}",
    )
    times = ["--period", PERIOD, "--catchup-period", "1s", "--genesis-delay", GENESIS_DELAY]
    what = ["--proposal", PROPOSAL, "--threshold", str(THRESHOLD), "--scheme", SCHEME]
    dkg(pod, "init", *what, *times)


def main() -> int:
    """Exit code 0 when it is done, 1 with the reason otherwise."""
    parser = argparse.ArgumentParser(description="Three signing nodes of three owners.")
    verbs = parser.add_subparsers(dest="verb", required=True)
    made = verbs.add_parser("files")
    made.add_argument("who", metavar="WHO")
    made.add_argument("folder", nargs="?", type=Path, default=HERE)
    for verb in ("propose", "join", "execute"):
        step = verbs.add_parser(verb)
        step.add_argument("pod", metavar="POD")
        if verb == "propose":
            step.add_argument("owners", metavar="WHO", nargs="+")
    given = parser.parse_args()
    if given.verb == "propose":
        propose(given.pod, given.owners)
    elif given.verb != "files":
        dkg(given.pod, given.verb)
    else:
        try:
            files(given.who, given.folder.resolve())
        except FileExistsError as there:
            sys.stderr.write(f"{there.filename} is there: a node keeps its password\n")
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
