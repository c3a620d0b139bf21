# SPDX-License-Identifier: Apache-2.0
"""The text of haproxy.cfg, and HAProxy's word on it."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.provider.facade.parts import HAPROXY
from trustedpods.protocol.errors import BadInput, NoContext
from trustedpods.provider.facade import pages
from trustedpods.provider.facade.haproxy.config import (
    SHARED_POOLS,
    Bind,
    FacadeConfig,
    FacadeLimits,
    backend_name,
    slot_of,
)
from trustedpods.provider.facade.haproxy.files import install
from trustedpods.provider.facade.haproxy.maps import OF_A_SLOT, SlotMap
from trustedpods.provider.facade.haproxy.text import PIPE_BYTES, PIPES, haproxy_config
from trustedpods.provider.facade.pools import Pools


def config(home: Path = Path("/run/tp"), **changes: object) -> FacadeConfig:
    values: dict[str, object] = {
        "binds": (Bind("127.0.0.1:18080"),),
        "pools": Pools(3, 2, 2),
        "tcp_binds": (Bind("127.0.0.1:20000"),),
        "runtime_socket": home / "haproxy.sock",
        "map_file": home / "hosts.map",
        "activator_dir": home / "slots",
        "pages_dir": home / "pages",
    }
    return FacadeConfig(**{**values, **changes})


def test_every_slot_has_its_activator_and_nothing_else():
    text = haproxy_config(config())
    kinds = {0: "pods", 2: "pods", 3: "pods", 4: "pods", 5: "tcp", 6: "tcp"}
    for slot, kind in kinds.items():
        assert (
            f"backend slot{slot} from {kind}\n  id {1000 + slot}\n  stick-table type string len 40 "
        ) in text
        (server,) = re.findall(f"  server activator unix@/run/tp/slots/slot{slot}.sock (.*)\n", text)
        assert server.startswith("backup")
        assert server.endswith(" non-stick"), "nobody goes back to it"
    assert "slot7" not in text
    assert text.count("proto h2") == 2
    assert "bind 127.0.0.1:20000\n" in text
    assert "bind 127.0.0.1:20001\n" in text
    assert "option contstats" in text


def test_long_answers_of_every_kind_pass_in_the_kernel_within_its_limit_of_pipes():
    text = haproxy_config(config())
    sections = dict(section.split("\n", 1) for section in text.split("\n\n") if "\n" in section)
    for defaults in ("defaults http", "defaults tcp"):
        assert "  option splice-response\n" in sections[defaults] + "\n"
    assert f"  maxpipes {PIPES}\n  tune.pipesize {PIPE_BYTES}\n" in sections["global"] + "\n"
    assert PIPES * PIPE_BYTES <= 32 * 1024 * 1024, "half of fs.pipe-user-pages-soft: HAProxy is not root"


def test_every_haproxy_keeps_its_memory():
    unit = Path("deploy/systemd/trustedpods-haproxy.service").read_text()
    assert f"\nExecStart=/usr/sbin/haproxy -Ws -db {SHARED_POOLS} -f " in unit
    done = subprocess.run([HAPROXY, SHARED_POOLS, "-v"], capture_output=True, text=True, check=True)
    assert "unknown pool" not in done.stdout + done.stderr


def test_no_line_is_made_for_the_log_of_a_request_that_goes_well():
    text = haproxy_config(config())
    for defaults in ("defaults http", "defaults tcp"):
        section = text.split(f"{defaults}\n")[1].split("\n\n")[0]
        assert "  option dontlog-normal\n  log-format -\n" in section


@pytest.mark.parametrize("frontend", ["web", "ended-web"])
def test_of_who_asks_for_nothing_no_map_is_asked_and_all_is_judged(frontend):
    """One rule ends what is asked of a request; before it stands all that holds for everybody."""
    made = config()
    section = haproxy_config(made).split(f"frontend {frontend} from http\n")[1].split("\n\n")[0]
    lines = section.splitlines()
    asking = SlotMap.ASKING.beside(made.map_file)
    (end,) = [at for at, line in enumerate(lines) if "http-request allow" in line]
    assert lines[end] == f"  http-request allow unless {{ var(txn.slot),map_str_int({asking}) -m found }}"
    own = [str(which.beside(made.map_file)) for which in OF_A_SLOT]
    rules = [at for at, line in enumerate(lines) if line.startswith("  http-request")]
    asked = [at for at in rules if any(name in lines[at] for name in own)]
    of_what_was_found = ("txn.rate", "txn.most", "txn.body", "txn.stick", "txn.stream", "txn.https")
    after = [at for at in rules if at > end]
    assert asked
    assert min(asked) > end
    assert [lines[at] for at in after if not any(name in lines[at] for name in of_what_was_found)] == []
    assert not any(name in line for name in own for line in lines if line.startswith("  use_backend"))


def test_a_bind_may_be_in_another_network_namespace():
    text = haproxy_config(config(binds=(Bind("10.1.2.3:80"), Bind("127.0.0.1:18080", "host-k1"))))
    assert "  bind 10.1.2.3:80 name 80\n  bind 127.0.0.1:18080 namespace host-k1 name 18080\n" in text


@pytest.mark.parametrize(
    "changes",
    [
        {"binds": ()},
        {"binds": (Bind("127.0.0.1:80 ssl"),)},
        {"binds": (Bind("127.0.0.1:80", "a b"),)},
        {"tcp_binds": (Bind("127.0.0.1:65535"),)},
        {"tls_binds": (Bind("127.0.0.1:443"),)},
        {"https_suffix": ":80 code 200"},
        {"map_file": Path("/tmp/a\nuser root")},
        {"runtime_socket": Path("relative.sock")},
        {"activator_dir": Path("/" + "a" * 200)},
    ],
)
def test_nothing_can_be_smuggled_into_the_file(changes):
    with pytest.raises(BadInput):
        config(**changes)


@pytest.mark.parametrize("sizes", [(0,), (16_385,), (16_000, 385), (1, -1), (1, 0, -1)])
def test_pools_have_sizes_that_haproxy_can_have(sizes):
    with pytest.raises(BadInput):
        Pools(*sizes)


def test_a_slot_belongs_to_one_pool():
    pools = Pools(3, 2, 1)
    assert [pools.protocol(slot).value for slot in range(6)] == ["http"] * 3 + ["h2"] * 2 + ["tcp"]
    with pytest.raises(ValueError, match="no slot 6"):
        pools.protocol(6)


def test_slots_and_backends_are_two_names_of_one_thing():
    assert [slot_of(backend_name(slot)) for slot in (0, 7, 4095)] == [0, 7, 4095]
    assert [slot_of(name) for name in ("nowhere", "slot", "slotx", "slot-1", "web", "slot²")] == [None] * 6


@pytest.mark.parametrize("page", [*pages.PROXY_PAGES, pages.cannot_wake(7)])
def test_pages_are_whole_responses(page):
    head, body = page.raw().split(b"\r\n\r\n", 1)
    lines = head.decode().split("\r\n")
    assert lines[0].startswith(f"HTTP/1.1 {page.status.value} ")
    assert f"Content-Length: {len(body)}" in lines
    assert "Connection: close" in lines
    assert (f"Retry-After: {page.retry_after}" in lines) == bool(page.retry_after)


def test_a_second_installation_keeps_the_host_map(tmp_path):
    made = config(tmp_path / "new")
    install(made, tmp_path / "new" / "haproxy.cfg")
    made.map_file.write_text("a.localhost slot0\n")
    install(made, tmp_path / "new" / "haproxy.cfg")
    assert made.map_file.read_text() == "a.localhost slot0\n"
    assert (made.pages_dir / "404.http").read_bytes() == pages.NO_SUCH_HOST.raw()
    assert list(tmp_path.rglob(".*")) == [], "no draft stays"


def test_limits_of_an_earlier_version_hold_from_haproxys_start_on(tmp_path):
    """It wrote no map of who asks for anything; the daemon brings it only when it is started."""
    made = config(tmp_path)
    SlotMap.RATES.beside(made.map_file).write_text("slot3 7\nslot4 7\n")
    SlotMap.HTTPS.beside(made.map_file).write_text("slot4 1\nslot5 1\n")
    install(made, tmp_path / "haproxy.cfg")
    asking = SlotMap.ASKING.beside(made.map_file)
    assert asking.read_text() == "slot3 1\nslot4 1\nslot5 1\n"
    asking.write_text("")
    install(made, tmp_path / "haproxy.cfg")
    assert asking.read_text() == "", "what is there is the daemon's"


def test_what_cannot_be_written_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(NoContext):
        install(config(tmp_path / "file"), tmp_path / "haproxy.cfg")


@pytest.mark.live
@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"pools": Pools(256, 64, 32)},
        {"tcp_binds": ()},
        {"threads": 2, "limits": FacadeLimits(connections=500)},
    ],
)
def test_haproxy_accepts_it_without_a_warning(tmp_path, changes):
    made = config(tmp_path, **changes)
    file = tmp_path / "haproxy.cfg"
    install(made, file)
    done = subprocess.run([HAPROXY, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_every_table_of_clients_is_handed_on_by_a_process_that_ends():
    text = haproxy_config(config())
    assert "\n  localpeer facade\n" in text
    path = config().runtime_socket.with_name("peer.sock")
    assert f"\npeers reloads\n  bind unix@{path} mode 600\n  server facade\n" in text
    tables = [line for line in text.splitlines() if "stick-table type string len 40" in line]
    assert len(tables) == config().pools.total
    assert all(line.endswith(" peers reloads") for line in tables)


def test_challenges_are_answered_from_their_map_before_a_host_is_looked_for():
    assert "acme-challenge" not in haproxy_config(config())
    text = haproxy_config(config(challenges=True))
    rule = text.index("path,map_str(/run/tp/challenges.map)")
    assert "/.well-known/acme-challenge/" in text
    assert rule < text.index("http-request set-var(txn.host)")


def test_public_pages_are_looked_for_only_where_no_pod_is():
    """So they cost requests to pods nothing, and no pod's host can be answered with them."""
    sections = haproxy_config(config()).split("\n\n")
    with_pages = [one for one in sections if "/run/tp/public.map" in one]
    assert [one.split()[1] for one in with_pages] == ["nowhere"]
    assert with_pages[0].index("standing-by") < with_pages[0].index("public.map")
    assert with_pages[0].count("method GET HEAD") == 2
