# SPDX-License-Identifier: Apache-2.0
"""What may happen to a provider, each with the alerts that it is for: it comes, is seen, and is over."""

from tests.fakes.chain.state import address_of
from tests.fakes.setup.keys import FakeKeySite, sign
from tests.year.outside.world import SPOOL_MIB
from trustedpods.contracts.client.endpoints.standings import NodeStanding
from trustedpods.protocol.limits import MIB
from trustedpods.protocol.units import Usage
from trustedpods.provider.admin.reports.operator_key import read_operator_key
from trustedpods.provider.cluster.diagnosis import Diagnosis
from trustedpods.provider.cluster.pod_counters import PodCounters
from trustedpods.provider.config import GasSection
from trustedpods.provider.core.operator_key.rotation import RotationStep, movable
from trustedpods.provider.keys.boot import BootKeys
from trustedpods.provider.keys.file import read_key
from trustedpods.provider.setup.operator_key.procedure import Rotation, rotate

HOUR_S = 3600
MINUTE_S = 60
GAS = 10**18
CALM_S = 20 * MINUTE_S
"""What was counted in the last quarter of an hour is told no more after this."""


class _Everywhere(dict):
    """The same of every namespace."""

    def __init__(self, value):
        super().__init__()
        self._value = value

    def __contains__(self, _key):
        return True

    def get(self, _key, _default=None):
        return self._value


async def reboot(year):
    """The machine goes down for some minutes, and comes up with keys that nobody has seen."""
    async with year.watched("reboot", {"TrustedPodsDaemonDown"}) as window:
        await year.world.time.stride(MINUTE_S, MINUTE_S)
        year.world.observer.rebooted(int(year.world.now))
        old_meter = year.world.keys.meter_address
        await year.stop()
        await year.watch(window, 5 * MINUTE_S)
        year.world.keys = BootKeys.generate()
        year.world.facade.restart()
        await year.start()
        await year.publishers.release(year.run, old_meter)
        await year.watch(window, CALM_S)


async def operator_key(year):
    """The operator changes the key for a new one, by the command that he types; the owner signs elsewhere."""
    before = address_of(year.world.operator_key)
    async with year.watched("operator key", {"TrustedPodsOperatorKeyChange"}) as window:
        await rotate_typed(year)  # a key is made, and nobody goes on with it
        await year.watch(window, HOUR_S + 5 * MINUTE_S)
        steps = await key_changed(year)
        await year.watch(window, 5 * MINUTE_S)
    assert steps == [RotationStep.NAME, RotationStep.RESTART, RotationStep.TAKE_BACK]
    after = address_of(year.world.operator_key)
    assert year.world.chain.operators == {(year.world.owner, after)}
    assert not movable(year.world.chain.gas[before], year.world.chain.wei_per_gas)
    assert year.world.chain.gas[after] > GAS // 2


async def lost_key(year):
    """The key's file is gone; the daemon goes on with what it has in memory until it is started again."""
    year.world.key_file.unlink()
    await year.world.time.stride(HOUR_S, MINUTE_S)
    steps = await key_changed(year, lost=True)
    assert steps == [RotationStep.NAME, RotationStep.RESTART]
    after = address_of(year.world.operator_key)
    assert year.world.chain.operators == {(year.world.owner, after)}
    year.world.chain.gas[after] = GAS
    await year.world.time.stride(HOUR_S, MINUTE_S)


async def rotate_typed(year, *, lost=False):
    """The operator types it once; `again`, as files have the real world's dates."""
    world = year.world
    site = FakeKeySite(world.key_file, world.chain)
    if year.run is not None:
        site.view = await read_operator_key(year.run.parts.doors)
    return await rotate(Rotation(world._config(), site, lost=lost, again=True))


async def key_changed(year, *, lost=False):
    """Others do what each run asks for, and then it is typed again; the steps at which it stopped."""
    world, steps = year.world, []
    while True:
        result = await rotate_typed(year, lost=lost)
        if result.complete:
            return steps
        if result.step is not RotationStep.MOVE_COIN:  # which the daemon does, soon or at once
            steps.append(result.step)
        sign(world.chain, world.owner, result.transactions)
        if result.step is RotationStep.RESTART:
            await year.stop()
            world.operator_key = read_key(world.key_file)
            await year.start()
        await world.time.stride(10 * MINUTE_S, MINUTE_S)


async def disk_full(year):
    """Nothing can be written for a quarter of an hour."""
    async with year.watched("disk full", {"TrustedPodsDiskFull", "TrustedPodsErrors"}) as window:
        await year.watch(window, 2 * MINUTE_S)
        year.world.disk.free = 0
        with year.world.disk.failing():
            await year.watch(window, 15 * MINUTE_S)
        year.world.disk.free = None
        await year.watch(window, CALM_S)


async def disk_low(year):
    """Others fill the disk but for a little."""
    async with year.watched("disk low", {"TrustedPodsDiskLow"}) as window:
        year.world.disk.free = 100 * MIB
        await year.watch(window, 15 * MINUTE_S)
        year.world.disk.free = None
        await year.watch(window, 5 * MINUTE_S)


async def chain_away(year):
    """The node does not answer."""
    async with year.watched("chain away", {"TrustedPodsFactSilent"}) as window:
        year.world.chain.broken = True
        await year.watch(window, 10 * MINUTE_S)
        year.world.chain.broken = False
        await year.watch(window, CALM_S)


async def node_differs(year):
    """One of the chain's three nodes says otherwise than the others; they are believed."""
    async with year.watched("node differs", {"TrustedPodsChainNodeDiffers"}) as window:
        year.world.chain.disagreeing = [NodeStanding("http://a"), NodeStanding("http://b", "differs")]
        await year.watch(window, 15 * MINUTE_S)
        year.world.chain.disagreeing = [NodeStanding("http://a"), NodeStanding("http://b")]
        await year.watch(window, CALM_S)


async def chain_lies(year):
    """For a day the node tells what was: no block comes. Transactions reach the chain all the same."""
    before = len(year.world.chain.log)
    year.world.chain.begin_to_lie()
    await year.world.time.stride(24 * HOUR_S, HOUR_S)
    year.world.chain.lie = None
    year.sent_to_a_liar = len(year.world.chain.log) - before
    await year.world.time.stride(HOUR_S, MINUTE_S)


async def no_gas(year):
    """The operator's key is empty for so long that claims get old; then it is filled again."""
    operator = address_of(year.world.operator_key)
    year.world.chain.gas[operator] = 0
    await year.world.time.stride(37 * HOUR_S, HOUR_S)
    async with year.watched("no gas", {"TrustedPodsOperatorOutOfGas", "TrustedPodsClaimOld"}) as window:
        await year.watch(window, 15 * MINUTE_S)
        year.world.chain.gas[operator] = GAS
        await year.watch(window, CALM_S)


async def gas_cap(year):
    """The day's gas is spent: claims wait. Then the operator allows for more."""
    await _with_gas(year, GasSection(most_wei_per_day=0))
    for _ in range(13):
        if year.run.parts.doors.gas.waiting.get("claims"):
            break
        await year.world.time.stride(HOUR_S, 15 * MINUTE_S)
    async with year.watched("gas cap", {"TrustedPodsGasCapReached"}) as window:
        await year.watch(window, 10 * MINUTE_S)
        await _with_gas(year, GasSection())
        await year.watch(window, CALM_S)


async def _with_gas(year, gas):
    """The daemon starts again with other settings."""
    await year.stop()
    year.world.gas = gas
    await year.start()


async def paid_less(year):
    """A pod sends more than its publisher's cap lets be paid."""
    async with year.watched("paid less", {"TrustedPodsPaidLess"}) as window:
        (pod,) = await year.publishers.come(year.run, [None], peak=Usage(100, 64, 300))
        await year.watch(window, 2 * MINUTE_S)
        (slot,) = year.world.facade.slots_of(pod.label).values()
        async with year.waking([slot]):
            await year.world.time.stride(2, 1)
        requests, ingress, egress = year.world.facade.traffic.get(slot, (0, 0, 0))
        year.world.facade.traffic[slot] = (requests + 1, ingress, egress + 10**13)
        year.world.observer.passed(pod.ref.channel, 0, 10**13)
        await year.watch(window, 2 * MINUTE_S)
        await year.publishers.go(year.run, [pod])
        await year.watch(window, HOUR_S + 10 * MINUTE_S)


async def authority_away(year):
    """Certificates cannot be renewed any more."""
    year.world.switch.away()


async def authority_back(year):
    """The certificate has nearly ended when the authority answers again."""

    def days_left():
        return year.metric("trustedpods_certificate_days_left")

    while days_left() > 0.9:
        await year.world.time.stride(HOUR_S, HOUR_S)
    fires = {"TrustedPodsCertificateEnds", "TrustedPodsCertificateEnded"}
    async with year.watched("certificate ends", fires, cleared=False) as window:
        await year.watch(window, HOUR_S + 10 * MINUTE_S)
    year.world.switch.back()
    while days_left() < 1:
        await year.world.time.stride(HOUR_S, HOUR_S)
    async with year.watched("certificate renewed", set()) as window:
        await year.watch(window, CALM_S)


async def slow_starts(year):
    """The node takes eight seconds for each start."""
    async with year.watched("slow starts", {"TrustedPodsColdStartsSlow"}) as window:
        for _ in range(15):
            year.world.cluster.hold_starts = True
            async with year.waking(year.some_slots(2)):
                await year.world.time.stride(8, 1)
                year.world.cluster.release_starts()
            await year.watch(window, 2 * MINUTE_S)
        await year.watch(window, 2 * CALM_S)


async def refused_wakes(year):
    """No replica starts any more."""
    async with year.watched("refused wakes", {"TrustedPodsWakesRefused"}) as window:
        year.world.cluster.failing = _Everywhere(Diagnosis("CrashLoopBackOff: exit code 1", hopeless=True))
        for _ in range(15):
            async with year.waking(year.some_slots(3)):
                await year.world.time.stride(20, 1)
            await year.watch(window, 2 * MINUTE_S)
        year.world.cluster.failing = {}
        await year.watch(window, 2 * CALM_S)


async def crowd(year):
    """So many come that few slots are left."""
    async with year.watched("crowd", {"TrustedPodsSlotsShort"}) as window:
        many = year.world.facade.free_slots - 5
        pods = await year.publishers.come(year.run, [None] * many)
        await year.watch(window, 12 * MINUTE_S)
        await year.publishers.go(year.run, pods)
        await year.watch(window, 5 * MINUTE_S)


async def flood(year):
    """A replica sends more than it may: each minute its node's agent tells of refused packets."""
    async with year.watched("flood", {"TrustedPodsEgressLimited"}) as window:
        for _ in range(15):
            told = [PodCounters("flood", "tp-flood", "main", 0, 0, refused_packets=100)]
            year.run.parts.meter.refused.take(told, {"flood"}, int(year.world.now))
            await year.watch(window, MINUTE_S)
        await year.watch(window, CALM_S)


async def full_spool(year):
    """One image takes nearly all of the spool."""
    async with year.watched("full spool", {"TrustedPodsSpoolFull"}) as window:
        spool = year.run.parts.doors.spool
        large = bytes(SPOOL_MIB * MIB * 93 // 100 - spool.used_bytes)
        pods = await year.publishers.come(year.run, [None], marker=large)
        await year.watch(window, 12 * MINUTE_S)
        await year.publishers.go(year.run, pods)
        await year.watch(window, 90 * MINUTE_S)


EVENTS = {
    "reboot": reboot,
    "operator key": operator_key,
    "lost key": lost_key,
    "disk full": disk_full,
    "disk low": disk_low,
    "chain away": chain_away,
    "chain lies": chain_lies,
    "node differs": node_differs,
    "no gas": no_gas,
    "gas cap": gas_cap,
    "paid less": paid_less,
    "authority away": authority_away,
    "authority back": authority_back,
    "slow starts": slow_starts,
    "refused wakes": refused_wakes,
    "crowd": crowd,
    "flood": flood,
    "full spool": full_spool,
}
