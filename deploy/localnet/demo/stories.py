# SPDX-License-Identifier: Apache-2.0
"""Two pods: one that sleeps, wakes, is billed and stays; one whose money ends."""

from pathlib import Path
from time import monotonic

from trustedpods.localnet.demo.outside import Json, Outside, StepFailed, wait_for
from trustedpods.localnet.demo.table import Steps

SLEEP_LIMIT_S = 60
CLAIM_LIMIT_S = 60
END_LIMIT_S = 180
DEPOSIT = "1d"
"""The first pod stays up after the demo: a day at full size."""

SHORT_DEPOSIT = "15s"
"""The second pod's money ends while one watches."""

END_OF_FUNDS = ("funds-warning", "funds-out", "grace-over", "removed")
"""What the provider must have told of it, in this order."""


def deploy(outside: Outside, manifest: Path, name: str, deposit: str) -> Json:
    """`trustedpods deploy`; its final object."""
    return outside.trustedpods("deploy", str(manifest), "--name", name, "--deposit", deposit)


def tell_deploy(result: Json, steps: Steps) -> None:
    """Steps 0 to 7, as the client saw them."""
    taken = {step["name"]: step for step in result["steps"]}
    provider, trust, price, sent = (result[key] for key in ("provider", "trust", "price", "sent"))
    image = next(iter(result["images"].items()))
    opened = taken["channel"]
    steps.happened(0, f"{taken['start']['seconds']} s; key {result['publisher']}")
    steps.happened(
        1, f"{result['pod']}: image of {taken['manifest']['image_bytes']:,} bytes, digests checked"
    )
    steps.happened(2, f"{taken['list']['providers']} in the registry contract")
    mode, checks = "SIMULATED " if trust["simulated"] else "", len(trust["checks"])
    steps.happened(
        3,
        f"{provider['name']}, {price['awake_hour']} {price['token']} per hour awake",
        f"attested: {trust['class']}, {mode}evidence {trust['evidence'][:12]}..., {checks} checks",
    )
    steps.happened(
        4,
        f"channel {result['channel'][:16]}... with {opened['deposit']} {price['token']}",
        f"tx {opened['tx']}, gas {opened['gas']:,}, {opened['seconds']} s, beside step 5",
    )
    moved = f"{sent['sent_bytes']:,} bytes of images in {sent['sent_chunks']} sealed chunks"
    steps.happened(5, f"{moved}, {taken['send']['seconds']} s")
    steps.happened(6, f"namespace {result['namespace']}, one replica proven, {taken['create']['seconds']} s")
    steps.happened(
        7, f"{result['endpoints'][0]['url']} signed by the attested key", f"{image[0]}: {image[1][:23]}..."
    )


def wake_and_sleep(outside: Outside, result: Json, steps: Steps) -> None:
    """Steps 8 to 11, counted by kubectl."""
    namespace, url = result["namespace"], result["endpoints"][0]["url"]
    asleep(outside, namespace)
    answer, cold = outside.get(url)
    awake = outside.pods(namespace)
    if answer.status_code != 200 or awake < 1:
        raise StepFailed(f"GET {url}: status {answer.status_code}, {awake} pods")
    _, warm = outside.get(url)
    steps.happened(8, f"GET {url} while kubectl counts 0 pods")
    steps.happened(9, f"{awake} pod, woken by that request")
    steps.happened(
        10, f"status 200, {len(answer.content):,} bytes after {cold:.2f} s; the next one {warm * 1000:.0f} ms"
    )
    idle = asleep(outside, namespace)
    steps.happened(11, f"0 pods again {idle:.1f} s after the last answer")


def asleep(outside: Outside, namespace: str) -> float:
    """Wait until no pod is left; seconds that it took."""
    began = monotonic()
    wait_for("zero pods", SLEEP_LIMIT_S, lambda: True if outside.pods(namespace) == 0 else None)
    return monotonic() - began


def bill_and_pay(outside: Outside, result: Json, steps: Steps) -> None:
    """Steps 12 and 13: the publisher's bill first, then the claim, then the balances on chain."""
    name, token = result["pod"], result["price"]["token"]
    before = outside.trustedpods("bill", name)
    outside.provider("claim", "--prepare")
    bill = outside.trustedpods("bill", name)
    line = bill["lines"][-1]
    if int(bill["total_units"]) <= 0 or bill["problems"] or line["tx"] is not None:
        raise StepFailed(f"the bill before the claim: {bill}")
    steps.happened(
        12,
        f"{line['cpu_core_ms']:,} core-ms, {line['memory_mib_s']:,} MiB-s, {line['storage_mib_s']:,} MiB-s "
        f"stored, {line['egress_kib']:,} KiB out",
        f"bill computed by the publisher before the claim: {bill['total']} {token}",
    )
    had = outside.paid_out()
    claim = outside.provider("claim", "--withdraw")
    paid = wait_for("the claim on chain", CLAIM_LIMIT_S, lambda: _claimed(outside, name, bill))
    grew = outside.paid_out() - had
    if grew != int(claim["withdrawn"]) or grew < int(bill["total_units"]) - int(before["claimed_units"]):
        raise StepFailed(
            f"paid out {grew}, the contract owed {claim['withdrawn']}, billed {bill['total_units']}"
        )
    steps.happened(
        13,
        f"tx {claim['transaction']}, {claim['items']} channels in one claim",
        f"claimed on chain {paid['claimed']} {token}, as billed; the payout address got {grew:,} base units",
    )


def _claimed(outside: Outside, name: str, bill: Json) -> Json | None:
    now = outside.trustedpods("bill", name)
    return now if now["claimed_units"] == bill["total_units"] and not now["problems"] else None


def run_dry(outside: Outside, manifest: Path, name: str, steps: Steps) -> None:
    """Step 14 on a pod that never sleeps."""
    funds, payout = outside.publisher_balance(), outside.paid_out()
    result = deploy(outside, manifest, name, SHORT_DEPOSIT)
    namespace, deposit = result["namespace"], funds - outside.publisher_balance()
    wait_for(
        "the second pod's namespace to go",
        END_LIMIT_S,
        lambda: None if outside.has_namespace(namespace) else True,
    )
    seen = wait_for("its channel to close", CLAIM_LIMIT_S, lambda: _ended(outside, name))
    if missing := [reason for reason in END_OF_FUNDS if reason not in seen]:
        raise StepFailed(f"the pod ended without {', '.join(missing)}; its events: {', '.join(seen)}")
    outside.provider("claim", "--withdraw")
    paid, refunded = outside.paid_out() - payout, outside.publisher_balance() - (funds - deposit)
    if paid <= 0 or paid + refunded < deposit:
        raise StepFailed(f"deposit {deposit}, paid {paid}, refunded {refunded}")
    steps.happened(
        14,
        f"{name}, funded for {SHORT_DEPOSIT}: {', then '.join(END_OF_FUNDS)}; nothing left in the cluster",
        f"deposit {deposit:,} base units, refunded {refunded:,}, paid out {paid:,} (all pods)",
    )


def _ended(outside: Outside, name: str) -> list[str] | None:
    """Once the pod's channel is closed, and the provider knows: what it told of the pod, in order."""
    status = outside.trustedpods("status", name)
    seen = [event["reason"] for event in status["pod_events"]]
    return None if status["channel_open"] or END_OF_FUNDS[-1] not in seen else seen
