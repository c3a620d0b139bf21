// SPDX-License-Identifier: Apache-2.0

// Command netpol enforces Kubernetes' NetworkPolicies on one node with nftables, and counts what each
// pod sends and receives past the node's own processes.
//
// It watches pods, namespaces and policies, and replaces one table in one transaction whenever they
// change. While it is away the table stays: what was allowed is, what was not is not, and new pods
// wait, because the CNI plugin beside it does not let them start without an answer.
package main

import (
	"context"
	"flag"
	"log"
	"net/netip"
	"os/signal"
	"syscall"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

func main() {
	log.SetFlags(log.LstdFlags | log.Lmsgprefix)
	kubeconfig := flag.String("kubeconfig", "", "how to reach the API server")
	node := flag.String("node", "", "this node's name")
	network := flag.String("pod-network", "", "addresses of this node's pods (CIDR); the first is the node's")
	state := flag.String("state", "", "file of what is remembered of pods and their traffic")
	plugin := flag.String("cni-socket", "", "where the CNI plugin asks")
	traffic := flag.String("traffic-socket", "", "where the provider's daemon reads counters")
	freezer, groups, pageOut := freezerFlags()
	waysSocket, waysPorts := waysFlags()
	flag.Parse()

	prefix, err := netip.ParsePrefix(*network)
	if err != nil {
		log.Fatalf("-pod-network: %v", err)
	}
	if *freezer != "" {
		thawLeft(*groups)
	}
	access, err := clientcmd.BuildConfigFromFlags("", *kubeconfig)
	if err != nil {
		log.Fatalf("-kubeconfig: %v", err)
	}
	client, err := kubernetes.NewForConfig(access)
	if err != nil {
		log.Fatalf("-kubeconfig: %v", err)
	}
	ledger, err := load(*state)
	if err != nil {
		log.Fatalf("-state: %v", err)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	seen, err := watch(ctx, client, *node)
	if err != nil {
		log.Fatalf("cannot watch the cluster: %v", err)
	}
	agent := newAgent(seen, prefix, *state, ledger)
	if *waysSocket != "" {
		if agent.led, err = openLed(*waysPorts, *state); err != nil {
			log.Fatal(err)
		}
	}
	if err := agent.start(); err != nil {
		log.Fatal(err)
	}
	if err := agent.listen(*plugin, agent.plugin); err != nil {
		log.Fatal(err)
	}
	if err := agent.listen(*traffic, agent.counters); err != nil {
		log.Fatal(err)
	}
	if *waysSocket != "" {
		if err := countBytes(); err != nil { // policies hold all the same
			log.Printf("no connections are led past the facade: %v", err)
		} else if err := agent.listen(*waysSocket, agent.answerWays); err != nil {
			log.Fatal(err)
		}
	}
	if *freezer != "" {
		leases, err := agent.freezes(ctx, *freezer, *groups, *pageOut)
		if err != nil {
			log.Fatal(err)
		}
		defer leases.ThawAll() // nobody is left to do it
	}
	log.Printf("policies of %s hold in %s", *node, prefix)
	agent.run(ctx)
}
