# SPDX-License-Identifier: Apache-2.0
"""Known words of a container and its parts: Kubernetes' Container, Compose's service, Akash's SDL."""

from trustedpods.manifests.words.pod import SECCOMP
from trustedpods.manifests.words.word import Place, Word

_ENDS = "write `terminationGracePeriodSeconds: 30` in `spec`"
_TERMINAL = "leave it out: no terminal is attached"
_ENV = "write `env: [{name: A, value: x}]`"
_BY_KEY = "write `valueFrom: {secretKeyRef: {name: VOLUME, key: FILE}}` with a secret volume of this manifest"
_SIZES = "write `resources: {limits: {cpu: 100m, memory: 64Mi, ephemeral-storage: 64Mi}}`"
_IMAGE = "write `image: dockerfile:FOLDER`, or `image: NAME` of a registry"
_MOUNTS = (
    "write `volumeMounts: [{name: data, mountPath: /data}]`, and `volumes: [{name: data, ...}]` in `spec`"
)
_SECRETS = "write `volumeMounts`, and `volumes: [{name: keys, secret: {files: {KEY: FILE}}}]` in `spec`"
_ONE_HOST = "leave it out: containers of a pod find each other under their names"
_ALL_TOGETHER = (
    "leave it out: all containers of a pod start together; initContainers run before, one by one, "
    "and with restartPolicy: Always go on beside them"
)
_USER = "write `securityContext: {runAsUser: 10001}`, or set it in the image"
_ALWAYS = "leave it out: a container that ends is started again"
_NODE = "leave it out: the node's own settings hold"
_NO_POWERS = "leave it out: no capability of the kernel is given; any port may be listened on without one"
_LOGS = "leave it out: what is written to stdout and stderr is the log (`trustedpods logs`)"

CAPABILITIES = Place(
    "capabilities of a container",
    None,
    {
        "drop": Word(_NO_POWERS, same=(["ALL"], ["all"])),
        "add": Word(_NO_POWERS, same=(["NET_BIND_SERVICE"],)),
    },
)

SECURITY = {
    "allowPrivilegeEscalation": Word("leave it out: no process gains rights", same=(False,)),
    "privileged": Word("leave it out: no container is privileged", same=(False,)),
    "runAsNonRoot": Word("leave it out: nothing runs as root", same=(True,)),
    "capabilities": Word(_NO_POWERS, inside=CAPABILITIES),
    "seccompProfile": SECCOMP,
    "procMount": Word(_NODE, same=("Default",)),
    "appArmorProfile": Word(_NODE, same=({"type": "RuntimeDefault"},)),
    "seLinuxOptions": Word(_NODE),
    "windowsOptions": Word("leave it out: pods are Linux"),
}

_KUBERNETES = {
    "imagePullPolicy": Word(
        "leave it out: the image is the archive's, by its digest", same=("IfNotPresent", "Always")
    ),
    "resizePolicy": Word("leave it out: a pod has its limits, and pays for them, until it is deployed anew"),
    "restartPolicy": Word(_ALWAYS, same=("Always",)),
    "restartPolicyRules": Word(_ALWAYS),
    "stdin": Word(_TERMINAL, same=(False,)),
    "stdinOnce": Word(_TERMINAL, same=(False,)),
    "tty": Word(_TERMINAL, same=(False,)),
    "terminationMessagePath": Word(_LOGS, same=("/dev/termination-log",)),
    "terminationMessagePolicy": Word(_LOGS, same=("File", "FallbackToLogsOnError")),
    "volumeDevices": Word(
        "leave it out: volumes are mounted: `volumeMounts: [{name: data, mountPath: /data}]`"
    ),
}

_COMPOSE = {
    "environment": Word(_ENV),
    "env_file": Word(_BY_KEY),
    "entrypoint": Word('write `command: ["/app"]`; what Compose calls `command` is `args` here'),
    "build": Word(_IMAGE),
    "volumes": Word(_MOUNTS),
    "tmpfs": Word(_MOUNTS.replace("...", "emptyDir: {}")),
    "expose": Word("write `ports: [{containerPort: 8080}]`, and a service with `expose: http` in `spec`"),
    "depends_on": Word(_ALL_TOGETHER),
    "links": Word(_ONE_HOST),
    "networks": Word(_ONE_HOST),
    "network_mode": Word(_ONE_HOST),
    "extra_hosts": Word(_ONE_HOST),
    "hostname": Word(_ONE_HOST),
    "container_name": Word("write `name`"),
    "domainname": Word(_ONE_HOST),
    "dns": Word(_ONE_HOST),
    "dns_search": Word(_ONE_HOST),
    "healthcheck": Word("write `readinessProbe: {httpGet: {path: /, port: 8080}}`, or tcpSocket, exec, grpc"),
    "restart": Word(_ALWAYS, same=("always", "unless-stopped")),
    "deploy": Word(_SIZES + "; replicas are `scale` in `spec`"),
    "mem_limit": Word(_SIZES),
    "mem_reservation": Word(_SIZES),
    "memory": Word(_SIZES),
    "cpus": Word(_SIZES),
    "cpu": Word(_SIZES),
    "cpu_shares": Word(_SIZES),
    "limits": Word(_SIZES),
    "shm_size": Word("leave it out: /dev/shm has the runtime's own size"),
    "user": Word(_USER),
    "group_add": Word("leave it out: a container has one group, and that of the pod's volumes"),
    "cap_add": Word(_NO_POWERS, same=(["NET_BIND_SERVICE"],)),
    "cap_drop": Word(_NO_POWERS, same=(["ALL"],)),
    "privileged": Word(_NO_POWERS, same=(False,)),
    "security_opt": Word(_NO_POWERS, same=(["no-new-privileges:true"], ["no-new-privileges"])),
    "devices": Word("leave it out: devices are not supported yet"),
    "gpus": Word("leave it out: devices are not supported yet"),
    "read_only": Word("write `securityContext: {readOnlyRootFilesystem: true}`", same=(False,)),
    "secrets": Word(_SECRETS),
    "configs": Word(_SECRETS),
    "stop_grace_period": Word(_ENDS, same=("30s",)),
    "stop_signal": Word("leave it out: a replica gets no new requests, then SIGTERM", same=("SIGTERM",)),
    "sysctls": Word(
        "leave it out: any user may listen on any port, and no other kernel parameter can be set"
    ),
    "ulimits": Word(_NODE),
    "init": Word("leave it out: let the image bring one (tini), if the program leaves zombies"),
    "ipc": Word(_NODE),
    "pid": Word(_NODE),
    "pids_limit": Word(_NODE),
    "runtime": Word(_NODE),
    "logging": Word(_LOGS),
    "labels": Word("", whatever=True),
    "annotations": Word("", whatever=True),
    "platform": Word("leave it out: pods are linux/amd64", same=("linux/amd64",)),
    "pull_policy": Word("leave it out: the image is the archive's, by its digest"),
    "profiles": Word("leave it out: a manifest is one pod; write a second one"),
    "scale": Word("it belongs into `spec`: `scale: {min: 0, max: 3}`"),
    "replicas": Word("it belongs into `spec`: `scale: {min: 0, max: 3}`"),
}

_SDL = {
    "params": Word(_MOUNTS),
    "storage": Word(_MOUNTS),
    "dependencies": Word(_ALL_TOGETHER),
    "credentials": Word("leave it out: images come from archives on your disk, no registry is asked"),
    "resourceRequests": Word(_SIZES),
    "port": Word("write `ports: [{containerPort: 8080}]`"),
    "host": Word("write `hosts` of a service in `spec`"),
}

CONTAINER = {**_KUBERNETES, **_COMPOSE, **_SDL}

INIT = {name: word for name, word in CONTAINER.items() if name != "restartPolicy"}

ENV = {"fromSecret": Word(_BY_KEY), "secret": Word(_BY_KEY), "val": Word("write `value`")}

ENV_SOURCE = {
    "configMapKeyRef": Word("write the value itself, or secretKeyRef with a secret volume of this manifest"),
    "fileKeyRef": Word("write secretKeyRef with a secret volume of this manifest"),
    "resourceFieldRef": Word("write the number that stands in `limits`"),
}

ENV_FROM = {"configMapRef": Word("write secretRef with a secret volume of this manifest")}

FIELD_REF = {"apiVersion": Word("leave it out: fields are those of v1", same=("v1",))}

SECRET_REF = {"optional": Word("leave it out: the secret is always there", same=(False,))}

SECRET_KEY = {"optional": Word("leave it out: the file is always there", same=(False,))}

_PORT_OF_NODE = "leave it out: `services` open the ways in, at ports of the provider's"

PORT = {
    "hostPort": Word(_PORT_OF_NODE),
    "hostIP": Word(_PORT_OF_NODE),
    "hostHttpHost": Word(
        "write `services: [{name: web, expose: http, hosts: [...], ports: [...]}]` in `spec`"
    ),
    "hostTcpPort": Word(
        "write `services: [{name: db, expose: tcp, ports: [...]}]` in `spec`; the provider gives a port"
    ),
    "servicePort": Word("write `services: [{..., ports: [{port: 80, targetPort: 8080}]}]` in `spec`"),
    "published": Word("write `services: [{..., ports: [{port: 80, targetPort: 8080}]}]` in `spec`"),
    "target": Word("write `containerPort`"),
    "port": Word("write `containerPort`"),
    "targetPort": Word("write `containerPort`"),
}

PROBE = {
    "terminationGracePeriodSeconds": Word("leave it out: the pod's own holds"),
    "test": Word('write `exec: {command: ["/bin/check"]}`, httpGet, tcpSocket or grpc'),
    "interval": Word("write `periodSeconds: 10`"),
    "retries": Word("write `failureThreshold: 3`"),
    "start_period": Word("write `initialDelaySeconds: 10`, or a startupProbe"),
    "timeout": Word("write `timeoutSeconds: 5`"),
}

HTTP_GET = {
    "host": Word("leave it out: the replica itself is asked"),
}

LIFECYCLE = {
    "postStart": Word("leave it out: do it in `command`, or before in an init container"),
    "stopSignal": Word("leave it out: a replica gets no new requests, then SIGTERM", same=("SIGTERM",)),
}

PRE_STOP = {"tcpSocket": Word("write httpGet, exec or sleep: Kubernetes does nothing with it")}

TCP_SOCKET = {"host": Word("leave it out: the replica itself is asked")}

RESOURCES = {
    "claims": Word("leave it out: devices are not supported yet"),
    "cpu": Word("write `limits: {cpu: 100m}`"),
    "memory": Word("write `limits: {memory: 64Mi}`"),
    "storage": Word("write `limits: {ephemeral-storage: 64Mi}`"),
    "gpu": Word("leave it out: devices are not supported yet"),
    "reservations": Word("write `limits`: a pod gets, and pays, exactly its limits"),
}

DEVICES = Word("leave it out: devices are not supported yet")

SIZES = {
    "cpus": Word("write `cpu: 500m`"),
    "units": Word("write `cpu: 500m`"),
    "size": Word("write `memory: 64Mi`"),
    "storage": Word("write `ephemeral-storage: 64Mi`, or a persistent volume"),
    "hugepages-2Mi": DEVICES,
    "hugepages-1Gi": DEVICES,
    "pids": Word(_NODE),
    "gpu": DEVICES,
}

MOUNT = {
    "mountPropagation": Word("leave it out: nothing is mounted from or to the node", same=("None",)),
    "recursiveReadOnly": Word("write `readOnly: true`", same=("Disabled",)),
    "subPathExpr": Word("write `subPath`: a pod is told nothing of its cluster"),
    "path": Word("write `mountPath`"),
    "mount": Word("write `mountPath`"),
    "target": Word("write `mountPath`"),
    "source": Word("write `name`: the name of a volume of `spec`"),
}
