#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# trio-typing 0.10.0 hides the types of trio 0.35 from mypy. Not part of CI; needs Python 3.11 or newer, no root.
#
# Version:     trio 0.35.0, trio-typing 0.10.0, mypy 2.4.1. py-libp2p 0.8.1 and multiaddr 0.2 require trio-typing, so
#              whoever installs them beside trio has both.
# Expectation: trio has types of its own (py.typed) and exports TaskStatus; mypy accepts `trio.TaskStatus`, whatever
#              else is installed.
# Behaviour:   trio-typing brings a folder trio-stubs, which mypy prefers to trio's own types. It was made for an
#              older trio: names that came later do not exist for mypy. Python itself finds them.
# Output seen: error: Name "trio.TaskStatus" is not defined  [name-defined]
#              and without trio-typing: Success: no issues found in 1 source file
# Here:        TaskStatus is imported from trio_typing, for types only.
#
# Exits 0 while it is so, 1 when it is no longer.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"
python3 -m venv env
env/bin/pip install --quiet --disable-pip-version-check trio==0.35.0 trio-typing==0.10.0 mypy==2.4.1
cat > task.py <<'END'
import trio


async def serve(task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
    task_status.started()


async def main() -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve)


if __name__ == "__main__":
    trio.run(main)
END
env/bin/python task.py
hidden=$(env/bin/mypy --strict task.py || true)
echo "$hidden"
env/bin/pip uninstall --quiet --yes trio-typing
seen=$(env/bin/mypy --strict task.py || true)
echo "$seen"
if grep -q 'Name "trio.TaskStatus" is not defined' <<< "$hidden" && grep -q "Success" <<< "$seen"; then
  echo "as described: the stubs hide what trio has"
else
  echo "no longer so: take TaskStatus from trio"
  exit 1
fi
