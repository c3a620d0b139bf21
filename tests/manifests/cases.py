# SPDX-License-Identifier: Apache-2.0
"""Manifests with one trait each, as real files have them, and what is to be said of each.

Each is a sound manifest with one change, so what is said is about the trait. None stands for "accepted":
such a manifest is also taken by a real API server (tests/provider/cluster/test_manifests_live.py), and runs
(tests/cases/test_deployed_live.py).
"""

from collections.abc import Iterator

BASE = """\
apiVersion: trustedpods/v1
kind: Pod
metadata:
  name: shop
spec:
  containers:
    - name: app
      image: oci-archive:app.tar
      ports:
        - containerPort: 8080
          name: http
      resources:
        limits: {cpu: 100m, memory: 64Mi}
  services:
    - name: web
      expose: http
      ports:
        - port: 80
          targetPort: 8080
"""

Case = tuple[str, str | None]
"""A file's text, and words of its refusal, or None."""


def instead(old: str, new: str) -> str:
    """BASE with *new* for *old*, which stands there once."""
    assert BASE.count(old) == 1, old
    return BASE.replace(old, new)


def metadata(line: str) -> str:
    """A line more in `metadata`."""
    return instead("  name: shop\n", f"  name: shop\n  {line}\n")


def spec(*lines: str) -> str:
    """Lines more in `spec`."""
    return BASE + "".join(f"  {line}\n" for line in lines)


def container(*lines: str) -> str:
    """Lines more in the container."""
    return instead("      resources:\n", "".join(f"      {line}\n" for line in lines) + "      resources:\n")


def port(line: str) -> str:
    """A line more in the container's port."""
    return instead("          name: http\n", f"          name: http\n          {line}\n")


def service(line: str) -> str:
    """A line more in the service."""
    return instead("      expose: http\n", f"      expose: http\n      {line}\n")


def service_port(line: str) -> str:
    """A line more in the service's port."""
    return BASE + f"          {line}\n"


def env(entry: str) -> str:
    """A variable of the container."""
    return container(f"env: [{entry}]")


def probe(inside: str) -> str:
    """A readiness probe."""
    return container(f"readinessProbe: {{{inside}}}")


def sizes(cpu: str = "100m", memory: str = "64Mi") -> str:
    """Other limits."""
    return instead("{cpu: 100m, memory: 64Mi}", f"{{cpu: {cpu}, memory: {memory}}}")


def resources(inside: str) -> str:
    """Other resources."""
    return instead(
        "      resources:\n        limits: {cpu: 100m, memory: 64Mi}\n", f"      resources: {inside}\n"
    )


def volume(inside: str, mount: str = "") -> str:
    """A volume and its mount."""
    mounted = container(f"volumeMounts: [{{name: v, mountPath: /v{mount}}}]")
    return mounted + f"  volumes:\n    - {{name: v, {inside}}}\n"


def _kubernetes() -> Iterator[tuple[str, Case]]:
    """What charts and `kubectl create` write."""
    yield "base", (BASE, None)
    yield "port by name", (instead("targetPort: 8080", "targetPort: http"), None)
    yield (
        "port by a wrong name",
        (instead("targetPort: 8080", "targetPort: https"), "named 'https' (there is: http)"),
    )
    yield "probe's port by name", (probe("httpGet: {path: /, port: http}"), None)
    yield "service port's name", (service_port("name: http"), None)
    yield "service port's protocol", (service_port("protocol: TCP"), None)
    yield "service port of UDP", (service_port("protocol: UDP"), "write `expose: udp`")
    yield "container port's protocol", (port("protocol: TCP"), None)
    yield "container port of UDP", (port("protocol: UDP"), "no container lists port 8080")
    yield "container port of SCTP", (port("protocol: SCTP"), "protocol SCTP: not supported yet")
    yield "host port", (port("hostPort: 80"), "`services` open the ways in")
    yield "service's type", (service("type: ClusterIP"), None)
    yield (
        "load balancer",
        (service("type: LoadBalancer"), "write `expose:` with http, tcp, udp, nodePort, loadBalancer or"),
    )
    yield "ingress class", (service("ingressClassName: nginx"), "write `expose: ingress` and")
    yield (
        "host of an ingress",
        (
            instead(
                "expose: http", "expose: ingress\n      ingress: {className: nginx, host: a.example.org}"
            ),
            "beside `ingress`: write `hosts",
        ),
    )
    yield "selector", (service("selector: {app: shop}"), "a service leads to this pod")
    yield "restart policy", (spec("restartPolicy: Always"), None)
    yield "restart policy of jobs", (spec("restartPolicy: OnFailure"), "is started again")
    yield "grace", (spec("terminationGracePeriodSeconds: 30"), None)
    yield "long grace", (spec("terminationGracePeriodSeconds: 600"), "less than or equal to 120")
    yield "labels", (metadata("labels: {app.kubernetes.io/name: shop, team: käse}"), None)
    yield "annotations", (metadata('annotations: {note: "Größe: 世界"}'), None)
    yield "namespace", (metadata("namespace: default"), "a namespace of its own")
    yield "creation", (metadata("creationTimestamp: null"), None)
    yield "status", (BASE + "status: {}\n", None)
    yield "replicas", (spec("replicas: 1"), "replicas needs workload: replicated or stateful")
    yield "template", (spec("template: {spec: {}}"), "`spec` is the pod itself")
    yield "pull policy", (container("imagePullPolicy: IfNotPresent"), None)
    yield "no pull", (container("imagePullPolicy: Never"), "the image is the archive's")
    yield "terminal", (container("stdin: false", "tty: true"), "no terminal is attached")
    yield "no account", (spec("automountServiceAccountToken: false"), None)
    yield "account", (spec("serviceAccountName: builder"), "no account and no token")
    yield "aliases", (spec("hostAliases: [{ip: 127.0.0.1, hostnames: [redis]}]"), None)
    yield "an alias of itself", (spec("hostAliases: [{ip: 127.0.0.1, hostnames: [app]}]"), "own name")
    yield "hooks", (container("lifecycle: {preStop: {exec: {command: [x]}}}"), None)
    yield (
        "no sidecar",
        (
            spec("initContainers: [{name: log, image: oci-archive:app.tar, restartPolicy: OnFailure}]"),
            "an init container runs to its end; Always makes it a sidecar",
        ),
    )
    yield "a wrong letter", (container("commnad: [x]"), "unknown field; did you mean command?")
    yield "a word of nobody's", (container("flavour: sweet"), "unknown field")


def _nodes() -> Iterator[tuple[str, Case]]:
    yield "node", (spec("nodeSelector: {kubernetes.io/arch: amd64}"), None)
    yield "node by name", (spec("nodeName: n1"), "the provider decides where")
    yield "node by a wrong label", (spec("nodeSelector: {disk: a b}"), "a label's value")
    yield (
        "node by a wish",
        (
            spec(
                "affinity: {nodeAffinity: {preferredDuringSchedulingIgnoredDuringExecution: [{weight: 1}]}}"
            ),
            "a wish cannot be checked before payment",
        ),
    )
    yield (
        "replicas apart",
        (
            spec(
                "affinity:",
                "  podAntiAffinity:",
                "    requiredDuringSchedulingIgnoredDuringExecution:",
                "      - topologyKey: kubernetes.io/hostname",
            ),
            None,
        ),
    )
    yield "any taint", (spec("tolerations: [{operator: Exists}]"), "this field is missing")
    yield (
        "nodes of one kind",
        (
            spec(
                "affinity:",
                "  nodeAffinity:",
                "    requiredDuringSchedulingIgnoredDuringExecution:",
                "      nodeSelectorTerms:",
                "        - matchExpressions: [{key: kubernetes.io/arch, operator: In, values: [amd64]}]",
            ),
            None,
        ),
    )
    yield (
        "spread over nodes",
        (
            spec("topologySpreadConstraints: [{topologyKey: kubernetes.io/hostname, maxSkew: 1}]"),
            None,
        ),
    )
    yield "tolerations", (spec("tolerations: []"), None)


def _security() -> Iterator[tuple[str, Case]]:
    all_shut = (
        "{runAsNonRoot: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}, "
        "readOnlyRootFilesystem: true, seccompProfile: {type: RuntimeDefault}}"
    )
    yield "as shut as ours", (container(f"securityContext: {all_shut}"), None)
    yield "a port below 1024", (container("securityContext: {capabilities: {add: [NET_BIND_SERVICE]}}"), None)
    yield "a power", (container("securityContext: {capabilities: {add: [NET_ADMIN]}}"), "no capability")
    yield "privileged", (container("securityContext: {privileged: true}"), "no container is privileged")
    yield "a user", (container("securityContext: {runAsUser: 10001}"), None)
    yield "root", (container("securityContext: {runAsNonRoot: false}"), "nothing runs as root")
    yield "a pod's own", (spec("securityContext: {runAsNonRoot: true}"), None)
    yield "a group", (spec("securityContext: {fsGroup: 10001}"), "every user of the pod")
    yield (
        "ports for all",
        (
            spec('securityContext: {sysctls: [{name: net.ipv4.ip_unprivileged_port_start, value: "0"}]}'),
            None,
        ),
    )
    yield (
        "another parameter",
        (
            spec('securityContext: {sysctls: [{name: net.core.somaxconn, value: "1024"}]}'),
            "no other kernel parameter",
        ),
    )
    yield "host's network", (spec("hostNetwork: true"), "no pod sees its node's own network")
    yield "own network", (spec("hostNetwork: false"), None)
    yield "own users", (spec("hostUsers: false"), None)
    yield "host's users", (spec("hostUsers: true"), "can only ask for user ids of its own (false)")


def _probes() -> Iterator[tuple[str, Case]]:
    good = "httpGet: {path: /, port: 8080}"
    yield "probe", (probe(good), None)
    yield "first delay", (probe(f"{good}, initialDelaySeconds: 0"), None)
    yield (
        "late first",
        (probe(f"{good}, initialDelaySeconds: 5, periodSeconds: 10, failureThreshold: 20"), None),
    )
    yield "one success", (probe(f"{good}, successThreshold: 1"), None)
    yield "liveness", (container(f"livenessProbe: {{{good}}}"), None)
    yield "startup", (container(f"startupProbe: {{{good}}}"), None)
    yield "command", (probe("exec: {command: [x]}"), None)
    yield "gRPC", (probe("grpc: {port: 1}"), None)
    yield "plain", (probe("httpGet: {port: 8080, scheme: HTTP}"), None)
    yield "TLS", (probe("httpGet: {port: 8080, scheme: HTTPS}"), None)
    yield (
        "header",
        (probe("httpGet: {port: 1, httpHeaders: [{name: A, value: b}]}"), None),
    )
    yield "question", (probe("httpGet: {path: /health?full=1, port: 8080}"), None)
    yield "space", (probe('httpGet: {path: "/a b", port: 8080}'), "a space is %20")


def _environment() -> Iterator[tuple[str, Case]]:
    quotes = "write it in quotes"
    yield "reference", (env('{name: A, value: b}, {name: C, value: "$(A):$$(A)"}'), None)
    yield "name only", (env("{name: DEBUG}"), None)
    yield "empty", (env('{name: DEBUG, value: ""}'), None)
    yield "null", (env("{name: DEBUG, value: null}"), None)
    yield "number", (env("{name: PORT, value: 8080}"), quotes)
    yield "bool", (env("{name: DEBUG, value: true}"), quotes)
    yield "yes", (env("{name: DEBUG, value: yes}"), None)
    yield "octal", (env("{name: MODE, value: 0755}"), quotes)
    yield "date", (env("{name: DAY, value: 2026-01-02}"), quotes)
    yield "lines", (container("env:", "  - name: KEY", "    value: |", "      one", "      two"), None)
    yield "UTF-8", (env('{name: GREETING, value: "Grüße, 世界 🚀"}'), None)
    yield "odd name", (env('{name: "my.app-NAME", value: x}'), None)
    yield "digit first", (env('{name: "7ZIP", value: x}'), "beginning with a letter")
    yield "all of a secret", (container("envFrom: [{secretRef: {name: s}}]"), "no secret volume is named 's'")
    yield "field", (env("{name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}"), None)
    yield "config", (env("{name: A, valueFrom: {configMapKeyRef: {name: c, key: k}}}"), "the value itself")
    yield "map", (container("env: {A: x}"), "write a list: `env: [{name: A, value: x}]`")
    yield "compose's", (container("environment: {A: x}"), "write `env: [{name: A, value: x}]`")
    yield "command line", (container("command: /app -v"), 'write a list: `command: ["/app", "-v"]`')
    yield "argument", (container("args: [--port, 8080]"), quotes)


def _sizes() -> Iterator[tuple[str, Case]]:
    good_cpu = ("1", "0.1", ".5", "1.0", "0.0005", "1e0", '"0.25"', "+1", "100000u", "1500m")
    good_memory = (
        "134217728", "1e8", "128E6", "0.5Gi", "1.5Gi", "131072Ki", "131072k", "128M", "1G", "134217728000m",
        '"128Mi"', "4294967296",
    )  # fmt: skip
    yield from ((f"cpu {text}", (sizes(cpu=text), None)) for text in good_cpu)
    yield from ((f"memory {text}", (sizes(memory=text), None)) for text in good_memory)
    for text in ("131072K", "128MB", "128mi", '"128 Mi"', "-1", "lots"):
        yield f"memory {text}", (sizes(memory=text), "not a size")
    yield "memory 1Pi", (sizes(memory="1Pi"), "between 1Mi and 16Ti")
    yield "cpu 0", (sizes(cpu="0"), "between 1m and 256")
    yield "requests alone", (resources("{requests: {cpu: 100m, memory: 64Mi}}"), None)
    yield (
        "requests of less",
        (
            resources("{requests: {cpu: 50m}, limits: {cpu: 100m}}"),
            "requests differ from limits",
        ),
    )
    yield "requests in part", (resources("{requests: {cpu: 0.1}, limits: {cpu: 100m, memory: 64Mi}}"), None)
    yield "memory alone", (resources("{limits: {memory: 64Mi}}"), None)
    yield "no sizes", (resources("{}"), None)
    yield "a device", (resources("{limits: {nvidia.com/gpu: 1}}"), "devices are not supported yet")


def _volumes() -> Iterator[tuple[str, Case]]:
    yield "scratch", (volume("emptyDir: {}"), None)
    yield "scratch of a fraction", (volume("emptyDir: {sizeLimit: 0.5Gi}"), None)
    yield "scratch without braces", (volume("emptyDir: "), None)
    yield "scratch without a blank", (volume("emptyDir:"), "Write a blank behind the colon: `emptyDir: ...`")
    yield "no kind", (volume("secret: "), "give exactly one of emptyDir, persistent, secret, csi")
    yield "in memory", (volume("emptyDir: {medium: Memory}"), "volumes in memory are not supported yet")
    yield "disk", (volume("persistent: {size: 1Gi, accessModes: [ReadWriteOnce]}"), None)
    yield (
        "shared disk",
        (volume("persistent: {size: 1Gi, accessModes: [ReadWriteMany]}"), "write `accessMode:"),
    )
    yield (
        "shared by its word",
        (
            volume("persistent: {size: 1Gi, storageClassName: nfs, accessMode: ReadWriteMany}"),
            None,
        ),
    )
    yield "up", (volume("emptyDir: {}", ", subPath: .."), "'..' cannot stand here")
    yield "propagation", (volume("emptyDir: {}", ", mountPropagation: None"), None)
    yield "slash at the end", (volume("emptyDir: {}", "/"), None)
    yield "Compose's mounts", (container("volumes: ['data:/data']"), "write `volumeMounts")
    for kind, inside, words in (
        ("configMap", "{name: c}", "write `secret: {files"),
        ("projected", "{sources: [x]}", "write `secret: {files"),
        ("persistentVolumeClaim", "{claimName: d}", "write `persistent: {size: 1Gi}`"),
        ("hostPath", "{path: /tmp}", "for what must last"),
        ("nfs", "{server: s}", "for what must last"),
        ("csi", "{driver: d}", "this field is missing"),
        ("csi", "{driver: d, store: publisher, secretProviderClass: {provider: p}}", "is for driver secrets"),
        ("csi", "{driver: secrets-store.csi.k8s.io, store: publisher}", "needs secretProviderClass"),
        ("csi", "{driver: d, store: provider}", "the provider can read its own store"),
        (
            "csi",
            "{driver: d, store: publisher, nodePublishSecretRef: {name: s}}",
            "no secret volume is named 's'",
        ),
        ("csi", "{driver: d, store: publisher, fsType: ext4}", "the driver's own way holds"),
        ("secret", "{secretName: s}", "files beside the manifest"),
        ("secret", "{files: {a: pod.yaml}, defaultMode: 0777}", "read by every user"),
    ):
        yield f"{kind} {inside}", (volume(f"{kind}: {inside}"), words)


def _texts() -> Iterator[tuple[str, Case]]:
    label = "1 to 63 lower-case letters"
    yield "line ends of Windows", (BASE.replace("\n", "\r\n"), None)
    yield "byte order mark", ("\ufeff" + BASE, None)
    yield "marks of a document", ("---\n# a comment\n" + BASE + "...\n", None)
    yield "two documents", (BASE + "---\n" + BASE, "one pod per file; a second document begins at line 20")
    yield "an empty second", (BASE + "---\n", "a second document begins at line 20")
    yield "one key twice", (container("env: [{name: A}]", "env: [{name: B}]"), 'duplicate key "env"')
    yield "tabs", (instead("      ports:\n        - c", "\t  ports:\n        - c"), "not valid YAML")
    yield "a name in capitals", (instead("name: shop", "name: Shop_Web"), label)
    yield "a name of digits", (instead("name: shop", 'name: "1234"'), None)
    yield (
        "a number in quotes",
        (instead("port: 80\n", 'port: "80"\n'), "a whole number is wanted, without quotes"),
    )
    yield "truth for a number", (instead("port: 80\n", "port: true\n"), "a whole number is wanted")
    yield "a fraction for a number", (instead("port: 80\n", "port: 80.0\n"), "a whole number is wanted")
    yield "a text for a truth", (service("httpsOnly: 'yes'"), "true or false is wanted, without quotes")
    yield "a number for a name", (instead("name: shop", "name: 1234"), "write it in quotes")
    yield "a long name", (instead("name: shop", "name: " + "a" * 63), None)
    yield "too long a name", (instead("name: shop", "name: " + "a" * 64), label)


CASES = dict(
    [*_kubernetes(), *_nodes(), *_security(), *_probes(), *_environment(), *_sizes(), *_volumes(), *_texts()]
)
