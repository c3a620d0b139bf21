# SPDX-License-Identifier: Apache-2.0
"""All targets under atheris: inputs that reach new code are kept and changed further.

.venv/bin/python -m tests.fuzz.coverage_guided FOLDER SECONDS

The first byte of an input chooses the target. FOLDER gets the corpus and, if there is a finding, the
input that made it; `python -m tests.fuzz.coverage_guided FOLDER 0 FILE` runs that one again.
"""

import signal
import sys
import warnings
from pathlib import Path

import atheris

warnings.simplefilter("ignore")
with atheris.instrument_imports(include=["trustedpods"], enable_loader_override=False):
    from tests.fuzz.targets import TARGETS, run

NAMES = sorted(TARGETS)
MAX_LENGTH = 20_000
MEMORY_MB = 2048


def one_input(data: bytes) -> None:
    """What libFuzzer calls."""
    if data:
        run(NAMES[data[0] % len(NAMES)], data[1:])


def main(folder: Path, seconds: int, again: list[str]) -> None:
    """Fuzz for so many seconds, or run the inputs in *again*."""
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    for number, name in enumerate(NAMES):
        for index, seed in enumerate(TARGETS[name].seeds):
            (corpus / f"{name}-{index}").write_bytes(bytes([number]) + seed)
    options = [
        f"-max_total_time={seconds}",
        f"-max_len={MAX_LENGTH}",
        "-timeout=0",  # by alarm, see below; whoever runs this sets a limit
        f"-rss_limit_mb={MEMORY_MB}",
        f"-artifact_prefix={folder}/finding-",
        "-print_final_stats=1",
    ]
    # libFuzzer's alarm is delivered to no handler and ends the process on a busy machine.
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
    atheris.Setup([sys.argv[0], *options, *(again or [str(corpus)])], one_input)
    atheris.Fuzz()


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:])
