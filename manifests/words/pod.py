# SPDX-License-Identifier: Apache-2.0
"""Known words of a manifest's head and of its `spec`: Kubernetes' ObjectMeta, PodSpec, DeploymentSpec."""

from trustedpods.manifests.words.word import Place, Word

_OWN = "leave it out: the provider decides where and how its cluster runs a pod"
_METADATA = "leave it out: Kubernetes writes it by itself"
_IDENTITY = "leave it out: a pod gets no account and no token of the cluster"
_USER = "it belongs to each container: `securityContext: {runAsUser: 10001}`"
_GROUP = "leave it out: volumes can be read and written by every user of the pod"
_REPLICAS = "write `workload: replicated` and `replicas`, or `scale: {min: 0, max: 3}` for a pod that sleeps"
_UPDATE = "leave it out: how a new version takes over is the provider's part"
_COPY = "leave it out: `spec` is the pod itself; what stands in `template.spec` goes here"
_CONTAINER = "it belongs to a container: `containers: [{name: app, image: ..., ...}]`"
_PRICE = "write `payment: {deposit: ..., maxCostPerDay: ...}`; what is paid is the provider's price"
_HOST = "leave it out: no pod sees its node's own network, processes or users"

HEAD = {
    "status": Word("leave it out: `trustedpods status` says it", whatever=True),
    "template": Word(_COPY),
    "services": Word("it belongs into `spec`: `spec: {services: [...]}`"),
    "containers": Word("it belongs into `spec`: `spec: {containers: [...]}`"),
    "volumes": Word("it belongs into `spec`: `spec: {volumes: [...]}`"),
    "version": Word("write `apiVersion: trustedpods/v1`"),
    "name": Word("write `metadata: {name: ...}`"),
}

METADATA = {
    "labels": Word("", whatever=True),
    "annotations": Word("", whatever=True),
    "namespace": Word("leave it out: every pod has a namespace of its own"),
    "generateName": Word("write `name`"),
    "ownerReferences": Word(_METADATA),
    "finalizers": Word(_METADATA),
    **dict.fromkeys(
        ("creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "generation",
         "managedFields", "resourceVersion", "selfLink", "uid"),
        Word(_METADATA, whatever=True),
    ),
}  # fmt: skip

_SYSCTLS = (
    [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "0"}],
    [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "80"}],
    [{"name": "net.ipv4.ip_unprivileged_port_start", "value": "443"}],
)
"""Each is less than what every pod gets, or the same."""

SECCOMP = Word(
    "leave it out: every pod has the runtime's own profile (RuntimeDefault)",
    same=({"type": "RuntimeDefault"},),
)
_LSM = "leave it out: the node's own profile holds"
_NON_ROOT = "leave it out: nothing runs as root"

SECURITY = Place(
    "securityContext of `spec`",
    None,
    {
        "runAsNonRoot": Word(_NON_ROOT, same=(True,)),
        "runAsUser": Word(_USER),
        "runAsGroup": Word(_USER),
        "fsGroup": Word(_GROUP, same=(65_532,)),
        "fsGroupChangePolicy": Word(_GROUP, same=("OnRootMismatch",)),
        "supplementalGroups": Word(_GROUP),
        "supplementalGroupsPolicy": Word(_GROUP, same=("Merge",)),
        "seccompProfile": SECCOMP,
        "appArmorProfile": Word(_LSM, same=({"type": "RuntimeDefault"},)),
        "seLinuxOptions": Word(_LSM),
        "seLinuxChangePolicy": Word(_LSM),
        "sysctls": Word(
            "leave it out: any user may listen on any port, and no other kernel parameter can be set",
            same=_SYSCTLS,
        ),
        "windowsOptions": Word("leave it out: pods are Linux"),
    },
)

_PLACING = {
    "os": Word("leave it out: pods are Linux", same=({"name": "linux"},)),
    **dict.fromkeys(
        ("nodeName", "overhead", "preemptionPolicy", "priority", "priorityClassName", "readinessGates",
         "runtimeClassName", "schedulingGates", "schedulingGroup"),
        Word(_OWN),
    ),
    "schedulerName": Word(_OWN, same=("default-scheduler",)),
    "resourceClaims": Word("leave it out: devices are not supported yet"),
    "resources": Word("it belongs to each container: `resources: {limits: {cpu: 100m, memory: 64Mi}}`"),
}  # fmt: skip

_NAMES = "leave it out: a pod finds its own containers by name, and nobody else (docs/isolation.md)"
_POD_NAME = "leave it out: containers find each other under their own names, and callers under `hosts`"

SPEC = {
    **_PLACING,
    "securityContext": Word("write a mapping", inside=SECURITY),
    "restartPolicy": Word("leave it out: a container that ends is started again", same=("Always",)),
    "activeDeadlineSeconds": Word("leave it out: a pod ends with its money, or by `trustedpods delete`"),
    "automountServiceAccountToken": Word(_IDENTITY, same=(False,)),
    "serviceAccount": Word(_IDENTITY, same=("default",)),
    "serviceAccountName": Word(_IDENTITY, same=("default",)),
    "enableServiceLinks": Word(_NAMES, same=(False,)),
    "dnsPolicy": Word(_NAMES),
    "dnsConfig": Word(_NAMES),
    "hostname": Word(_POD_NAME),
    "hostnameOverride": Word(_POD_NAME),
    "subdomain": Word(_POD_NAME),
    "setHostnameAsFQDN": Word(_POD_NAME, same=(False,)),
    "hostNetwork": Word(_HOST, same=(False,)),
    "hostPID": Word(_HOST, same=(False,)),
    "hostIPC": Word(_HOST, same=(False,)),
    "shareProcessNamespace": Word(
        "leave it out: containers do not see each other's processes", same=(False,)
    ),
    "ephemeralContainers": Word("leave it out: nobody opens a shell in a pod; read `trustedpods logs`"),
    "imagePullSecrets": Word("leave it out: images come from archives on your disk, no registry is asked"),
    "selector": Word(_COPY),
    "template": Word(_COPY),
    "minReadySeconds": Word(_UPDATE, same=(0,)),
    "revisionHistoryLimit": Word(_UPDATE),
    "progressDeadlineSeconds": Word(_UPDATE),
    "paused": Word(_UPDATE, same=(False,)),
    "serviceName": Word(_POD_NAME),
    "volumeClaimTemplates": Word(
        "write `workload: stateful` and `volumes: [{name: data, persistent: {size: 1Gi}}]`"
    ),
    "podManagementPolicy": Word("write `podManagement`"),
    "updateStrategy": Word(_UPDATE),
    "minReplicas": Word("write `scale: {min: ...}`"),
    "maxReplicas": Word("write `scale: {max: ...}`"),
    "networks": Word("leave it out: containers of a pod are one host; calls outside are `network`"),
    "secrets": Word("write `volumes: [{name: keys, secret: {files: {KEY: FILE}}}]`"),
    "configs": Word("write `volumes: [{name: keys, secret: {files: {KEY: FILE}}}]`"),
    "profiles": Word("write sizes as `resources` of the containers, and money as `payment`"),
    "deployment": Word(_REPLICAS),
    "pricing": Word(_PRICE),
    "placement": Word("write `nodeSelector` for where, `policy` and `trust` for who may run the pod"),
    "ports": Word("they belong to a container, and the ways in to `services`"),
    "tls": Word("it belongs to a service: `services: [{..., tls: {secretName: ...}}]`"),
    "rules": Word("write `services: [{name: web, expose: http, hosts: [...], paths: [...], ports: [...]}]`"),
    **dict.fromkeys(
        ("image", "command", "args", "env", "environment", "envFrom", "volumeMounts", "readinessProbe",
         "livenessProbe", "startupProbe", "lifecycle"),
        Word(_CONTAINER),
    ),
}  # fmt: skip

SCALE = {
    "minReplicas": Word("write `min`"),
    "maxReplicas": Word("write `max`"),
    "replicas": Word("write `min` and `max`"),
    "count": Word("write `min` and `max`"),
    "minScale": Word("write `min`"),
    "maxScale": Word("write `max`"),
    "targetPendingRequests": Word("write `concurrency`"),
    "containerConcurrency": Word("write `concurrency`"),
    "cooldownPeriod": Word("write `idleAfter`, as a duration: 300s"),
}

NETWORK = {
    "ingress": Word("leave it out: only the facade reaches a pod; `services` open ways in"),
    "podSelector": Word("leave it out: the rules are for this pod"),
    "policyTypes": Word("leave it out: calls outside are shut unless `egress` opens them"),
    "dns": Word(_NAMES),
}

HOST_ALIAS = {
    "hostname": Word("write `hostnames: [...]`"),
    "address": Word("write `ip`"),
}
