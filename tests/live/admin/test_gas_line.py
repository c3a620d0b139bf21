# SPDX-License-Identifier: Apache-2.0
"""The doctor's line on gas, of a real chain: price, coin, and the day's bound where there is one."""

import pytest

from tests.contracts.node.anvil import running_anvil
from tests.provider.test_config import GOOD
from trustedpods.contracts.eip712 import address_of
from trustedpods.protocol.errors import NetworkFailure, NoContext
from trustedpods.provider.admin.outside import gas
from trustedpods.provider.config import load_config

pytestmark = [pytest.mark.live, pytest.mark.timeout(60)]

KEY = bytes([221]) * 32


async def test_the_line_on_gas(tmp_path):
    key, config = tmp_path / "operator", tmp_path / "provider.toml"
    key.touch(0o600)
    key.write_text(KEY.hex())
    text = GOOD.replace("/var/lib/tp", str(tmp_path)).replace("/k/operator", str(key))
    with running_anvil() as anvil:
        text = text.replace("http://10.0.0.1:8545", anvil.url)
        config.write_text(text)
        with pytest.raises(NoContext, match="0 wei last 0 days") as caught:
            await gas(load_config(config))
        assert "send coin" in caught.value.hint
        anvil.rpc("anvil_setBalance", address_of(KEY), hex(10**19))
        assert "with 1 pods and 1 claims a day" in await gas(load_config(config))
        config.write_text(text + "[gas]\nmost_wei_per_day = 5\n")
        assert (await gas(load_config(config))).endswith("; at most 5 wei a day")
    with pytest.raises(NetworkFailure):
        await gas(load_config(config))
