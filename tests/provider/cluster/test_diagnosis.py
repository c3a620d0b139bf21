# SPDX-License-Identifier: Apache-2.0
"""What is said of pods that do not start."""

import pytest

from trustedpods.provider.cluster import diagnosis


def pod(*statuses):
    return {"metadata": {"namespace": "n", "name": "p"}, "status": {"containerStatuses": list(statuses)}}


def test_a_crash_with_its_last_lines():
    status = {
        "name": "app",
        "restartCount": 2,
        "state": {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}},
        "lastState": {"terminated": {"exitCode": 3, "reason": "Error"}},
    }
    crash = diagnosis.crash_in(pod(status))
    assert crash.restarted
    found = diagnosis.crashed(crash, b"no such table\n\x1b[2Jboo\n")
    assert found.text == "container app ended: exit code 3, restarted 2 times\nno such table\n[2Jboo"
    assert found.hopeless


def test_out_of_memory_is_named():
    status = {"name": "app", "state": {"terminated": {"exitCode": 137, "reason": "OOMKilled"}}}
    made = pod(status)
    assert diagnosis.crash_in(made).how == "container app ended: OOMKilled, exit code 137"
    made["spec"] = {"containers": [{"name": "app", "resources": {"limits": {"memory": "64Mi"}}}]}
    how = "container app ended: OOMKilled, exit code 137 (it may have 64Mi: raise resources.limits.memory)"
    assert diagnosis.crash_in(made).how == how


@pytest.mark.parametrize(
    ("wrote", "told"),
    [
        (b"PermissionError: [Errno 13] Permission denied: '/x'", "mount an emptyDir where it writes"),
        (b"open /var/x: Read-only file system", "its root is read-only: mount an emptyDir"),
    ],
)
def test_a_program_that_may_not_write_somewhere_is_told_what_helps(wrote, told):
    """In the first line, which is ours; what the container wrote stands behind it, as it is."""
    status = {"name": "app", "state": {"terminated": {"exitCode": 1, "reason": "Error"}}}
    first, *rest = diagnosis.crashed(diagnosis.crash_in(pod(status)), wrote).text.splitlines()
    assert first.startswith("container app ended: exit code 1; ")
    assert told in first
    assert rest == [wrote.decode()]


def test_what_cannot_be_executed_is_named():
    terminated = {"exitCode": 128, "reason": "StartError", "message": 'exec: "nope": not found'}
    crash = diagnosis.crash_in(pod({"name": "app", "state": {"terminated": terminated}}))
    assert crash.how == 'container app ended: StartError, exit code 128 (exec: "nope": not found)'


@pytest.mark.parametrize(
    ("reason", "restarts", "again"), [("Error", 0, True), ("Error", 1, False), ("StartError", 3, True)]
)
def test_the_first_end_and_what_never_ran_are_tried_again(reason, restarts, again):
    ended = {"exitCode": 137, "reason": reason}
    status = {"name": "app", "restartCount": restarts, "state": {"terminated": ended}}
    found = diagnosis.crashed(diagnosis.crash_in(pod(status)), b"")
    assert (found.hopeless, found.tried_again) == (True, again)


def test_a_running_container_is_no_crash():
    status = {"name": "app", "state": {"running": {}}, "lastState": {"terminated": {"exitCode": 1}}}
    assert diagnosis.crash_in(pod(status)) is None


def test_pulling_is_hopeless_and_creating_is_nothing():
    pull = {"name": "c", "state": {"waiting": {"reason": "ErrImagePull", "message": "not found"}}}
    assert diagnosis.waiting(pod(pull)) == diagnosis.Diagnosis(
        "ErrImagePull: not found", hopeless=True, tried_again=True
    )
    assert (
        diagnosis.waiting(pod({"name": "c", "state": {"waiting": {"reason": "ContainerCreating"}}})) is None
    )


@pytest.mark.parametrize(
    ("reason", "message"),
    [
        ("RunContainerError", "error reading from server: EOF"),
        (
            "CreateContainerError",
            'rpc error: code = Unavailable desc = connection error: "dial unix /run/c.sock"',
        ),
        (
            "ErrImagePull",
            'failed to do request: Head "http://r": dial tcp 127.0.0.1:5000: connect: connection refused',
        ),
        ("ImagePullBackOff", 'Back-off pulling image "i": ErrImagePull: read: connection reset by peer'),
    ],
)
def test_a_runtime_or_registry_that_is_away_is_no_lost_hope(reason, message):
    state = {"waiting": {"reason": reason, "message": message}}
    assert diagnosis.waiting(pod({"name": "c", "state": state})).hopeless is False
    assert diagnosis.waiting(pod({"name": "c", "state": {"waiting": {"reason": reason}}})).hopeless is True


@pytest.mark.parametrize(
    "ended",
    [
        {"exitCode": 255, "reason": "Unknown"},
        {"exitCode": 137, "reason": "ContainerStatusUnknown"},
        {"exitCode": 128, "reason": "StartError", "message": "failed to start task: ttrpc: closed"},
        {
            "exitCode": 128,
            "reason": "StartError",
            "message": "failed to start task: context canceled: unknown",
        },
    ],
)
def test_a_container_that_the_runtime_lost_is_tried_again(ended):
    crash = diagnosis.crash_in(pod({"name": "app", "state": {"terminated": ended}}))
    assert diagnosis.crashed(crash, b"").hopeless is False


def test_no_pod_at_all():
    def holder(text):
        condition = {"type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": text}
        return {"status": {"conditions": [condition]}}

    quota = diagnosis.no_pod([{}, holder("pods is forbidden: exceeded quota: size")])
    assert (quota.hopeless, quota.room) == (True, True)
    assert not diagnosis.no_pod([holder("status unknown for quota: size")]).hopeless
    started = (
        'pods is forbidden: User "system:serviceaccount:kube-system:replicaset-controller" cannot create'
    )
    assert not diagnosis.no_pod([holder(started)]).hopeless, "its roles are not read yet"
    away = 'Post "https://10.0.0.1:6443/api/v1/namespaces/a/pods": dial tcp 10.0.0.1:6443: connection refused'
    assert not diagnosis.no_pod([holder(away)]).hopeless
    security = 'pods "pod-0" is forbidden: violates PodSecurity "restricted:latest": privileged'
    assert diagnosis.no_pod([holder(security)]).hopeless
    assert diagnosis.no_pod([{}]) is None


@pytest.mark.parametrize(
    ("message", "room"),
    [
        ("0/1 nodes are available: 1 Insufficient cpu.", True),
        ("0/2 nodes are available: 1 Insufficient memory, 1 Too many pods.", True),
        ("0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.", False),
    ],
)
def test_room_that_is_taken_is_told_from_what_never_fits(message, room):
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = diagnosis.waiting({"status": {"conditions": [condition]}})
    assert found == diagnosis.Diagnosis(f"Unschedulable: {message}", hopeless=True, room=room)


@pytest.mark.parametrize(
    "why",
    ['persistentvolumeclaim "data-pod-0" not found', "pod has unbound immediate PersistentVolumeClaims"],
)
def test_a_claim_that_was_only_just_made_ends_no_start(why):
    """It is made before its pod, and the scheduler may hear of it after that."""
    message = f"0/1 nodes are available: {why}. not found"
    condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message}
    found = diagnosis.waiting({"status": {"conditions": [condition]}})
    assert found == diagnosis.Diagnosis(f"Unschedulable: {message}", hopeless=False)


def test_events_in_order_and_bounded():
    def event(when, kind, message, **more):
        about = {"kind": "Pod", "name": "p"}
        return {"type": kind, "reason": "R", "message": message, "involvedObject": about, **when, **more}

    events = [
        event({"lastTimestamp": "2026-01-01T00:00:02Z"}, "Warning", "second", count=3),
        event({"eventTime": "2026-01-01T00:00:01.5Z"}, "Normal", "first"),
        event({"lastTimestamp": "2026-01-01T00:00:03Z"}, "Normal", "x" * 9999),
    ]
    lines = diagnosis.event_lines(events)
    assert lines[:2] == ["Normal R Pod/p: first", "Warning R Pod/p: second (3 times)"]
    assert len(lines[2]) < diagnosis.MAX_TEXT + 10
    assert diagnosis.last_word(events) == diagnosis.Diagnosis("R: second", hopeless=False)
    assert diagnosis.last_word([]) is None


def test_a_claim_s_word_where_nobody_warns():
    about = {"kind": "PersistentVolumeClaim", "name": "data"}
    waiting = {
        "type": "Normal",
        "reason": "ExternalProvisioning",
        "message": "Waiting",
        "involvedObject": about,
    }
    assert diagnosis.last_word([waiting]).text == "ExternalProvisioning: Waiting"


@pytest.mark.parametrize(
    "words",
    [
        b'failed to try resolving symlinks in path "/var/log/pods/n_p_u/web/4.log": no such file',
        b"unable to retrieve container logs for containerd://0123",
    ],
)
def test_the_kubelet_s_word_for_a_log_that_is_gone_is_known(words):
    assert diagnosis.is_gone(words)
    assert not diagnosis.is_gone(b"my app: " + words)
