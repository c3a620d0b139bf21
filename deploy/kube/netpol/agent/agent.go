// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"log"
	"net/netip"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"

	"trustedpods.dev/kube/netpol/rules"
	"trustedpods.dev/kube/netpol/traffic"
	"trustedpods.dev/kube/netpol/ways"
)

const (
	// gather is how long a burst of changes is collected; a new pod waits for nobody.
	gather = 5 * time.Millisecond
	// readEvery bounds what a lost kernel table (a reboot) takes from the totals.
	readEvery = 10 * time.Second
	// renewEvery: the whole table is written again, whatever somebody else did to it.
	renewEvery = 30 * time.Second
	// vanished is how long a pod may be unknown to the API server before its end is taken as fact,
	// though no CNI plugin told it (the agent was away).
	vanished = 60 * time.Second
)

// ask is a question that the agent's one loop answers; do runs in it, and done is told how it went
// after the kernel has what follows from it.
type ask struct {
	do   func(now time.Time) error
	done chan error
}

// agent keeps the kernel's tables as the cluster wants them. Everything below `asks` belongs to run.
type agent struct {
	seen    *cluster
	network netip.Prefix
	state   string
	asks    chan ask

	ledger  *traffic.Ledger
	fetched map[string]*corev1.Pod // pods that began before the watch showed them, by uid
	applied string                 // the policies' table, as it was written last
	limited limited
	led     *led
	stored  []byte
	renewed time.Time
}

func newAgent(seen *cluster, network netip.Prefix, state string, ledger *traffic.Ledger) *agent {
	return &agent{
		seen: seen, network: network, state: state, asks: make(chan ask, 64),
		ledger: ledger, fetched: map[string]*corev1.Pod{},
	}
}

// start brings the kernel up to date once.
func (a *agent) start() error {
	if err := a.read(); err != nil {
		return err
	}
	return a.apply(time.Now())
}

// run never returns before the context ends; the tables stay when it does.
func (a *agent) run(ctx context.Context) {
	tick := time.NewTicker(readEvery)
	defer tick.Stop()
	for {
		var asked []ask
		select {
		case <-ctx.Done():
			return
		case <-a.seen.changed:
			time.Sleep(gather)
		case <-tick.C:
			a.tend(time.Now())
		case one := <-a.asks:
			asked = append(asked, one)
		}
		a.turn(append(asked, a.waiting()...))
	}
}

// waiting takes all questions that are there.
func (a *agent) waiting() []ask {
	var found []ask
	for {
		select {
		case one := <-a.asks:
			found = append(found, one)
		default:
			return found
		}
	}
}

// turn does what was asked, brings the kernel up to date, then answers.
func (a *agent) turn(asked []ask) {
	now := time.Now()
	failed := make([]error, len(asked))
	for i, one := range asked {
		failed[i] = one.do(now)
	}
	err := a.apply(now)
	if err != nil {
		log.Printf("not applied, next try in a second: %v", err)
		time.AfterFunc(time.Second, a.seen.wake)
	}
	for i, one := range asked {
		if failed[i] == nil {
			failed[i] = err
		}
		one.done <- failed[i]
	}
}

// question runs *do* in the loop and waits until the kernel has what follows from it.
func (a *agent) question(do func(now time.Time) error) error {
	done := make(chan error, 1)
	a.asks <- ask{do, done}
	return <-done
}

// apply writes what is not in the kernel yet. When that fails, somebody may have taken a table away: it
// tries once more from what there is.
func (a *agent) apply(now time.Time) error {
	err := a.write(now)
	if err == nil {
		return nil
	}
	a.applied, a.limited.known = "", false
	if a.led != nil {
		a.led.kernel = ways.Kernel{}
	}
	if lost := a.read(); lost != nil {
		return lost
	}
	return a.write(now)
}

// write is one transaction for policies and counters. The ledger is on disk before counters are made,
// and has read those that are removed.
func (a *agent) write(now time.Time) error {
	world := a.world(now)
	leads, kernel, err := a.lead(world, now)
	if err != nil {
		return err
	}
	text := rules.Render(world)
	if now.Sub(a.renewed) > renewEvery {
		a.applied = ""
	}
	if a.ledger.Due(now) {
		if err := a.read(); err != nil {
			return err
		}
	}
	if err := a.store(); err != nil {
		return err
	}
	script, limited := a.limit(world)
	script += leads + a.ledger.Script(now)
	if text != a.applied {
		script = text + script
	}
	if script != "" {
		if err := nft(script); err != nil {
			return err
		}
	}
	if text != a.applied {
		a.applied, a.renewed = text, now
	}
	a.limited = limited
	if a.led != nil {
		a.led.kernel = kernel
	}
	a.ledger.Applied(now)
	return nil
}

// world joins what the API server shows with what the CNI plugin told. The plugin's word on who has
// an address comes first: it is earlier than a status, and of two pods it knows the later one.
func (a *agent) world(now time.Time) *rules.World {
	world, pods := a.seen.world(a.network)
	known := map[string]bool{}
	for _, pod := range pods {
		known[string(pod.UID)] = true
	}
	for uid, pod := range a.fetched {
		if known[uid] {
			delete(a.fetched, uid)
		} else {
			pods = append(pods, pod)
		}
	}
	a.adopt(pods, now)
	holders := a.ledger.Holders()
	addresses := map[string]netip.Addr{}
	for address, uid := range holders {
		addresses[uid] = address
	}
	for _, pod := range pods {
		if !hasAddress(pod) {
			continue
		}
		local := pod.Spec.NodeName == a.seen.node
		address, has := addresses[string(pod.UID)]
		if !local {
			address, has = reported(pod)
		}
		if has {
			world.Pods = append(world.Pods, describe(pod, address, local))
		}
	}
	return world
}

// adopt takes in pods of this node that no CNI plugin told of: the state file was lost.
func (a *agent) adopt(pods []*corev1.Pod, now time.Time) {
	holders := a.ledger.Holders()
	for _, pod := range pods {
		address, has := reported(pod)
		uid := string(pod.UID)
		if !has || !hasAddress(pod) || pod.Spec.NodeName != a.seen.node || !a.network.Contains(address) {
			continue
		}
		if _, held := holders[address]; !held && a.ledger.Pods[uid] == nil {
			a.ledger.Start(uid, pod.Namespace, pod.Name, "", address, now)
		}
	}
}

// tend reads the counters and forgets what is over.
func (a *agent) tend(now time.Time) {
	if err := a.read(); err != nil {
		log.Print(err)
	}
	_, pods := a.seen.world(a.network)
	there := map[string]bool{}
	for _, pod := range pods {
		there[string(pod.UID)] = true
	}
	for uid, entry := range a.ledger.Pods {
		if entry.Ended == 0 && !there[uid] && now.Sub(time.Unix(entry.Added, 0)) > vanished {
			entry.Ended = now.Unix()
			delete(a.fetched, uid)
		}
	}
	a.ledger.Forget(now)
}

// read takes the kernel's counters into the ledger; a table that is not there is made.
func (a *agent) read() error {
	listing, err := list(traffic.Table)
	if err != nil {
		if err = nft(traffic.Base()); err != nil {
			return err
		}
		if listing, err = list(traffic.Table); err != nil {
			return err
		}
	}
	kernel, err := traffic.Parse(listing)
	if err != nil {
		return err
	}
	a.ledger.Read(kernel)
	a.readLimited()
	return nil
}

// totals are all pods' counters as they are told; what is told is on disk before.
func (a *agent) totals() ([]total, error) {
	if err := a.read(); err != nil {
		return nil, err
	}
	if err := a.store(); err != nil {
		return nil, err
	}
	found := make([]total, 0, len(a.ledger.Pods))
	for uid, entry := range a.ledger.Pods {
		refused := a.limited.refused[uid]
		found = append(found, total{uid, entry.Namespace, entry.Pod, entry.Total.Ingress, entry.Total.Egress, refused})
	}
	slices.SortFunc(found, func(one, other total) int { return strings.Compare(one.UID, other.UID) })
	return found, nil
}
