// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	core "k8s.io/client-go/listers/core/v1"
	"k8s.io/client-go/tools/cache"

	"trustedpods.dev/kube/netpol/rules"
)

func worldOf(pods ...string) *rules.World {
	world := &rules.World{Namespaces: map[string]labels.Set{}, PodNetwork: netip.MustParsePrefix("10.0.1.0/24")}
	for i, uid := range pods {
		address := netip.AddrFrom4([4]byte{10, 0, 1, byte(2 + i)})
		world.Pods = append(world.Pods, rules.Pod{UID: uid, Address: address, Local: true, Labels: labels.Set{podLabel: "p"}})
	}
	return world
}

// What cannot be read changes nothing: neither the limits that hold, nor who is held to them.
func TestLimitsHoldUntilTheyAreReadAnew(t *testing.T) {
	store := cache.NewIndexer(cache.MetaNamespaceKeyFunc, cache.Indexers{})
	agent := &agent{seen: &cluster{namespaces: core.NewNamespaceLister(store)}}
	noted := func(notes map[string]string) {
		t.Helper()
		if err := store.Add(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ownNamespace, Annotations: notes}}); err != nil {
			t.Fatal(err)
		}
	}
	step := func(world *rules.World) string {
		script, now := agent.limit(world)
		agent.limited = now
		return script
	}
	if script := step(worldOf("u1")); script != "" || agent.limited.known {
		t.Error("nobody said anything: ", script)
	}
	noted(map[string]string{mbitNote: "many"})
	if script := step(worldOf("u1")); script != "" || agent.limited.known {
		t.Error("what cannot be read, of an agent that just began: ", script)
	}
	noted(map[string]string{mbitNote: "8", connectionsNote: "20"})
	if script := step(worldOf("u1")); !strings.Contains(script, "over 1000000 bytes/second") || !strings.Contains(script, "over 20/second") {
		t.Error(script)
	}
	if script := step(worldOf("u1")); script != "" {
		t.Error("nothing changed: ", script)
	}
	for _, unreadable := range []map[string]string{{mbitNote: "-1"}, {connectionsNote: "x"}} {
		noted(unreadable)
		if script := step(worldOf("u1", "u2")); !strings.Contains(script, "add counter") || strings.Contains(script, "chain") {
			t.Error("a pod came: ", script)
		}
		if step(worldOf("u1")); agent.limited.limits.Mbit != 8 || agent.limited.limits.Connections != 20 {
			t.Error(agent.limited.limits)
		}
	}
	if err := store.Delete(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ownNamespace}}); err != nil {
		t.Fatal(err)
	}
	if script := step(worldOf("u1")); script != "" || agent.limited.limits.Mbit != 8 {
		t.Error("the namespace is gone: ", script)
	}
	noted(nil)
	if script := step(worldOf("u1")); !strings.HasSuffix(script, "delete table ip trustedpods-limits\n") {
		t.Error("the operator took them away: ", script)
	}
	if script := step(worldOf("u1", "u2")); script != "" {
		t.Error("no limits: ", script)
	}
}

// The cluster's own parts, and pods of other nodes, are held to nothing here.
func TestOnlyTheProvidersPodsOfThisNodeAreLimited(t *testing.T) {
	world := worldOf("ours", "elsewhere", "system")
	world.Pods[1].Local, world.Pods[2].Labels = false, nil
	if found := bounded(world); len(found) != 1 || found[0].UID != "ours" {
		t.Error(found)
	}
}
