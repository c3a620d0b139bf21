# SPDX-License-Identifier: Apache-2.0
"""Known words of a service: Kubernetes' Service and Ingress, Compose's service, Akash's `expose`."""

from trustedpods.manifests.words.word import Word

_WAY_IN = "a service is a way into the pod, no program: programs stand in `containers`"
_EXPOSE = (
    "write `expose:` with http, tcp, udp, nodePort, loadBalancer or ingress; "
    "without it only your own pods reach the port"
)
_ADDRESS = "leave it out: the provider gives the address; `trustedpods deploy` prints it"
_STICKY = "leave it out: any replica may get any request"
_CLASS = "write `expose: ingress` and `ingress: {className: NAME}`"
_BESIDE = "it belongs to the service, beside `ingress`: write `hosts: [...]` and `tls: {secretName: NAME}`"
_EVERYBODY = "leave it out: `expose` opens the service to everybody"

SERVICE = {
    "type": Word(_EXPOSE, same=("ClusterIP",)),
    "clusterIP": Word(_ADDRESS, same=("None",)),
    **dict.fromkeys(
        ("clusterIPs", "externalIPs", "externalName", "loadBalancerClass", "loadBalancerIP", "ipFamilies",
         "ipFamilyPolicy", "healthCheckNodePort", "allocateLoadBalancerNodePorts"),
        Word(_ADDRESS),
    ),
    "loadBalancerSourceRanges": Word("leave it out: callers cannot be told apart by address yet"),
    "externalTrafficPolicy": Word(_STICKY, same=("Cluster",)),
    "internalTrafficPolicy": Word(_STICKY, same=("Cluster",)),
    "trafficDistribution": Word(_STICKY),
    "publishNotReadyAddresses": Word("leave it out: requests go to replicas that are ready", same=(False,)),
    "selector": Word("leave it out: a service leads to this pod"),
    "sessionAffinityConfig": Word("leave it out: an hour without a request ends a client's affinity"),
    "host": Word("write `hosts: [...]`"),
    "hostname": Word("write `hosts: [...]`"),
    "path": Word("write `paths: [...]`"),
    "port": Word("write `ports: [{port: 80, targetPort: 8080}]`"),
    "ingressClassName": Word(_CLASS),
    "className": Word(_CLASS),
    "pathType": Word("write `ingress: {paths: [{path: /api, pathType: Prefix}]}`"),
    "to": Word(_EVERYBODY),
    "accept": Word("write `hosts: [...]`"),
    "as": Word("write `ports: [{port: 80, targetPort: 8080}]`"),
    "proto": Word(_EXPOSE),
    "global": Word(_EVERYBODY),
    "labels": Word("", whatever=True),
    "annotations": Word("", whatever=True),
    **dict.fromkeys(
        ("image", "build", "command", "args", "entrypoint", "env", "environment", "volumes", "depends_on",
         "restart", "deploy", "healthcheck", "container_name", "networks"),
        Word(_WAY_IN),
    ),
}  # fmt: skip

PORT = {
    "name": Word("", whatever=True),
    "nodePort": Word("write `expose: nodePort` at the service: the cluster gives the port"),
    "containerPort": Word("write `targetPort`"),
    "target": Word("write `targetPort`"),
    "published": Word("write `port`"),
    "hosts": Word("it belongs to the service, beside `ports`"),
}

INGRESS = {
    "ingressClassName": Word("write `className`"),
    "class": Word("write `className`"),
    **dict.fromkeys(("hosts", "host", "tls", "rules"), Word(_BESIDE)),
    **dict.fromkeys(
        ("defaultBackend", "backend"),
        Word("leave it out: what comes for the hosts and paths goes to this service"),
    ),
    "path": Word("write `paths: [{path: /api, pathType: Prefix}]`"),
    "pathType": Word("it belongs to each entry of `paths`"),
    "labels": Word("", whatever=True),
}

INGRESS_PATH = {
    "backend": Word("leave it out: what comes for the path goes to this service"),
}
