# SPDX-License-Identifier: Apache-2.0
"""The script in docs/money.md, as a reader would run it."""

import json
import os
import re
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import pytest

from tests.contracts.conftest import GAS, new_party
from tests.contracts.node.anvil import FUNDED_KEY, running_anvil
from trustedpods.contracts.client import Chain
from trustedpods.contracts.deploy import deploy

PAGE = Path("docs/money.md")


@pytest.mark.live
async def test_the_script_of_the_documentation_pays(tmp_path):
    (script,) = re.findall(r"```python\n(.+?)```", PAGE.read_text(), re.DOTALL)
    publisher = new_party()
    with running_anvil("--block-time", "0.4") as anvil:
        market = await deploy(anvil.url, FUNDED_KEY, 6)
        anvil.rpc("anvil_setBalance", publisher.address, hex(GAS))
        async with Chain(anvil.url, market) as chain:
            await chain.mint(FUNDED_KEY, publisher.address, 1000)
        (tmp_path / "pay.py").write_text(script)
        (tmp_path / "key").write_text(publisher.key.hex())
        (tmp_path / "market.json").write_text(json.dumps({**asdict(market), "rpc": anvil.url}))
        done = subprocess.run(
            [sys.executable, "pay.py", "market.json", "key"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=False,
            env=os.environ | {"PYTHONWARNINGS": ""},
        )
    assert (done.returncode, done.stdout) == (0, "paid 7, withdrawn 7, left 993\n"), done.stderr
