# SPDX-License-Identifier: Apache-2.0
"""A comment for each key of `provider.toml`. A test holds the keys equal to those of the model."""

from typing import Final

TABLES: Final = {
    "market": "Which chain, and which contracts on it. All of a market have the same; only `rpc` is yours.",
    "identity": "Who this provider is, and where its keys are.",
    "net": "Where publishers' clients find the daemon. The port must be open to the world.",
    "cluster": "The Kubernetes cluster, and the image registry on this machine's loopback.",
    "facade": (
        "HAProxy, which takes requests for pods, and the activator, which holds those of sleeping pods."
    ),
    "names": "The resolver of pods that call hosts by name (docs/operator.md). Without it they are refused.",
    "prices": "Whole numbers; a price is NUMBER * 2^64 / 2^scale base units of the token a metered unit.",
    "terms": "What a channel must offer, and when the daemon claims, warns, stops and removes.",
    "gas": "The most that the operator's key spends on gas. Without a line there is no bound.",
    "store": "The daemon's books and the sealed blobs of images.",
    "metrics": "Where Prometheus finds the daemon's numbers. Without this table there are none.",
    "publishers": "The most that one publisher's pods may take together. Without a line there is no bound.",
    "webhooks": "Warnings that are sent to publishers' own addresses.",
    "egress": "What pods may send to the outside, beside what their manifests ask for (docs/operator.md).",
    "exposure": "Services past the facade: on ports of the nodes. By default none (docs/operator.md).",
    "ingress": (
        "The cluster's own ingress controllers, for pods of class open. By default none (docs/ingress.md)."
    ),
    "tls": "Certificates for the provider's own names from a public authority (docs/operator.md).",
}

COMMENTS: Final = {
    "market.rpc": "A node of the chain, http or https: yours, or one that you trust to tell the truth.",
    "market.other_rpcs": (
        "More nodes of the same chain, by others than the first: what they do not agree on is not believed."
    ),
    "market.rpc_agree": (
        "How many of all nodes must say the same; absent: more than half. 1: one stands in for another."
    ),
    "market.chain_id": "The chain's number, which every signature names.",
    "market.payments": "The contract that holds publishers' deposits and pays claims.",
    "market.registry": "The contract that lists providers.",
    "market.token": "The ERC-20 token that prices are in: the one of the payments contract.",
    "market.finality_blocks": "How many blocks deep a transaction must lie before it counts.",
    "identity.owner": "The address that is paid. Its key signs the registry row, elsewhere.",
    "identity.daemon": "Which of the owner's daemons this is.",
    "identity.operator_key_file": (
        "A key that pays gas and can neither claim nor redirect. 64 hex digits, mode 0600."
    ),
    "identity.owner_key_file": "For a localnet only: the owner's key has no place on this machine.",
    "identity.keys_dir": "Keys of one boot; a folder in memory.",
    "identity.tee": '"hardware" for the machine\'s own TEE (SEV-SNP, TDX), else "none".',
    "identity.tee_files": (
        "A folder with what the hardware's vendor says of this machine (docs/attestation.md)."
    ),
    "identity.trust": '"sealed": publishers want proof that you cannot read their pods. "open": you could.',
    "identity.region": "A short word for people who choose a place; at most 12 bytes.",
    "identity.domain": "Pods are at NAME.DOMAIN: DNS leads *.DOMAIN to this machine.",
    "identity.url_suffix": (
        "What follows the host in a pod's http URL, such as :8080 where port 80 is another's."
    ),
    "net.listen": "Multiaddresses of this machine.",
    "net.announce": "What publishers are told, where it is another; the peer id is added.",
    "net.operator": (
        "true: some of your verbs are answered there too, signed by the operator's or the owner's key."
    ),
    "cluster.kubeconfig": (
        "How the daemon reaches the API server, and as whom. Its user must be able to read it."
    ),
    "cluster.registry": "The image registry, on the loopback.",
    "cluster.overcommit": "1: a sleeping pod keeps room for one replica. 4: that room is sold four times.",
    "cluster.ingress_from": (
        "Networks from which the facade reaches pods; this node's own address always is one."
    ),
    "cluster.egress_closed": (
        "Networks that no pod may call: the nodes' public addresses. Private ones are closed anyway."
    ),
    "cluster.traffic_socket": "Where the network policy agent counts what pods send past the facade.",
    "cluster.traffic_sockets_of_nodes": "The same of other nodes' agents.",
    "cluster.freezer_sockets": "Where each node's agent freezes pods that sleep warm; none: all sleep cold.",
    "cluster.pull_key_file": "64 hex digits: with them other nodes pull images from here too.",
    "cluster.processes_per_user": "LimitNPROC of the container runtime; leave it out where that is infinity.",
    "cluster.user_namespaces": (
        "true: each pod has user ids of its own outside; `doctor` shows whether nodes can (containerd 2)."
    ),
    "cluster.storage_classes": 'What manifests may name, with what each can: {fast = ["ReadWriteOnce"]}.',
    "cluster.node_labels": "Labels and taints by which pods may choose nodes; all can read their values.",
    "cluster.csi_drivers": "Drivers that may mount volumes into pods; each must run on all nodes.",
    "facade.runtime_socket": "HAProxy's runtime socket.",
    "facade.activator_dir": "The activator's sockets.",
    "facade.wake_socket": "Where the activator asks the daemon to wake a pod.",
    "facade.map_file": "Which host leads where. haproxy.cfg and its pages lie beside it.",
    "facade.slots": "Exposed services that speak http: how many there may be.",
    "facade.h2_slots": "The same for HTTP/2 without TLS (gRPC).",
    "facade.tcp_slots": "The same for plain TCP, each at a port of its own.",
    "facade.wake_limit_s": "Seconds that a request waits for a sleeping pod.",
    "facade.max_held": "Requests that wait for one pod at the same time.",
    "facade.binds": "Where HAProxy takes http.",
    "facade.tcp_binds": (
        "The first port of plain TCP; as many follow as there are tcp_slots. Without it no TCP."
    ),
    "facade.tls_binds": "Where HAProxy takes https. Without it no https.",
    "facade.exporter": "Where Prometheus finds HAProxy's numbers; keep it on the loopback.",
    "facade.resolvers": "Who is asked for proofs of control over publishers' hosts; none: this machine's.",
    "facade.certificate_file": (
        "The chain that an authority made of `tls-request`; without it a self-made one is shown."
    ),
    "facade.https_suffix": "What follows the host in a pod's https URL, such as :8443.",
    "facade.max_connections": "Most connections of one service at once that a manifest may ask for.",
    "facade.max_rate": "Most requests per second of one service.",
    "facade.max_body_mib": "Most MiB of one request's body.",
    "facade.source_connections": "Connections of one client's address at once.",
    "facade.source_rate": "Requests per second of one client's address; 0: any number.",
    "facade.header_s": "Seconds for a request's headers to be complete.",
    "facade.tcp": "Who carries plain TCP: haproxy, or the kernel past it, where `ways_socket` is.",
    "facade.ways_socket": "Where this node's network policy agent leads ports of the facade to pods.",
    "names.listen": "ADDRESS:PORT of this node that pods can reach.",
    "names.address": (
        "Where pods ask, at port 53: a Service in front of it. Leave it out where `listen` is at port 53."
    ),
    "names.upstream": "Resolvers that follow aliases; none: this machine's.",
    "names.least_ttl_s": "Seconds that an answer is good for, at least.",
    "names.sleep_port": "The port of the same address where pods ask for their own sleep.",
    "prices.cpu_core_ms": "A millisecond of one core.",
    "prices.memory_mib_s": "A MiB of memory for a second.",
    "prices.storage_mib_s": "A MiB of a volume for a second.",
    "prices.egress_kib": "A KiB out of a pod.",
    "prices.ingress_kib": "A KiB into a pod.",
    "prices.scale": "The scale of all five.",
    "terms.min_deposit": "Base units that a channel holds at least.",
    "terms.unlock_s": "Seconds of notice before a publisher takes his deposit back: claim within them.",
    "terms.grace_s": "Seconds that a pod without money keeps its volumes.",
    "terms.idle_mib": "MiB of memory that a sleeping pod is billed for at least.",
    "terms.max_image_mib": "Most MiB of a pod's images, packed and unpacked.",
    "terms.claim_interval_s": "Seconds between claims. An unclaimed day is lost: not above 86400.",
    "terms.min_claim": "Base units below which a claim is not sent.",
    "terms.coin_price": (
        "Base units of the token that a whole coin of the chain costs; 0: gas is not weighed."
    ),
    "terms.max_gas_percent": "How much of a claim its gas may eat, where coin_price is known.",
    "terms.warn_before_s": "Seconds before the money ends at which the publisher is warned.",
    "terms.idle_after_s": (
        "Seconds without requests after which a pod sleeps, unless its manifest says so itself."
    ),
    "terms.start_limit_s": "Seconds in which a replica must be ready.",
    "terms.max_start_s": "Most seconds that a manifest's readiness probe may ask for.",
    "gas.most_wei_per_day": "The most wei that a UTC day's gas may cost; what can wait then waits.",
    "store.path": "The books. What else the daemon keeps lies beside them.",
    "store.database": "postgresql://... where another node shall be able to take over (docs/operator.md).",
    "store.spool": "Sealed blobs of images on their way.",
    "store.spool_quota_mib": "Most MiB of them.",
    "store.reserve_mib": "MiB set aside on the books' disk, and freed when it is full: for stops and claims.",
    "store.min_free_mib": "Below so many free MiB no new pod is taken.",
    "store.keep_days": "Days that settled counts and ended pods' claims stay. Earnings by day stay for ever.",
    "metrics.listen": "Keep it on the loopback, or behind a firewall.",
    "publishers.pods": "How many there may be, asleep or awake.",
    "publishers.cpu_milli": "Thousandths of a core of all their replicas, where as many run as may.",
    "publishers.memory_mib": "MiB of memory of the same.",
    "webhooks.enabled": "Whether any are sent.",
    "webhooks.allow_private": "For a localnet only: publishers could send requests into your network.",
    "egress.smtp": (
        "Whether pods may send mail: TCP ports 25, 465 and 587. Mail that nobody asked for gets your"
        " addresses listed."
    ),
    "egress.pod_mbit": (
        "Most 10^6 bits a second that a replica sends past the facade; absent: any. Needs the network policy"
        " agent."
    ),
    "egress.pod_connections": "Most connections a second that a replica begins; absent: any. Needs the same.",
    "exposure.udp": "Whether `expose: udp` is offered.",
    "exposure.node_ports": "Whether `expose: nodePort` is offered.",
    "exposure.tunnel_sockets": "Where each node's program for tunnels listens; none: none are offered.",
    "exposure.load_balancers": "How many services may have an address of their own.",
    "exposure.node_address": "The nodes' address that publishers are told.",
    "exposure.callers": "Networks that may call besides the public world.",
    "exposure.peers": "Networks in which other providers publish nodes.",
    "ingress.services": "Most services with `expose: ingress`.",
    "ingress.classes": "The classes that are offered, a table for each.",
    "tls.acme": (
        "An authority that speaks ACME orders and renews by itself; without it see facade.certificate_file."
    ),
}
