// SPDX-License-Identifier: Apache-2.0

// Package traffic keeps what each pod sent and received past its node's own processes. It is pure:
// readings of the kernel's counters come in, totals and nftables scripts go out.
//
// The counters are named after a pod's uid and stand in a table of their own, which nobody replaces:
// the policies may change, the agent may restart, the address may go to another pod. Only when the
// table is gone (the machine was restarted) does counting begin anew, on top of the stored totals.
package traffic

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Table holds the counters.
const Table = "trustedpods-traffic"

const (
	// KeepEnded is how long a pod's last totals are told after its end: longer than an operator's
	// holidays from a daemon that does not run.
	KeepEnded = 14 * 24 * time.Hour
	// MaxEnded bounds what is remembered; beyond it the oldest is forgotten first.
	MaxEnded = 10_000
	// Settle is how long after its end a pod's counters still count: its link lives a moment longer.
	Settle = 5 * time.Second
)

// Bytes of IP packets, seen from the pod.
type Bytes struct {
	Ingress uint64 `json:"ingress"`
	Egress  uint64 `json:"egress"`
}

// Entry is one pod that has, or had, an address on this node.
type Entry struct {
	Namespace string     `json:"namespace"`
	Pod       string     `json:"pod"`
	Container string     `json:"container"` // the sandbox that has the address, by CNI's name for it
	Address   netip.Addr `json:"address"`
	NetNS     string     `json:"netns,omitempty"` // a path, as the runtime told CNI: for tunnels
	// Before is what was counted by counters that are gone; Total includes the newest reading.
	Before Bytes `json:"before"`
	Total  Bytes `json:"total"`
	// Added and Ended are seconds since 1970; Ended is 0 while the pod has its address.
	Added int64 `json:"added"`
	Ended int64 `json:"ended,omitempty"`
}

// Kernel is what the table holds: readings by uid, and whose counters an address leads to.
type Kernel struct {
	Readings map[string]Bytes
	Mapped   map[netip.Addr]string
}

// Ledger is all that the agent remembers of pods, by uid. It is stored as JSON.
type Ledger struct {
	Pods map[string]*Entry `json:"pods"`
	// What the kernel holds, as far as is known: read last, and changed by us since.
	counting map[string]bool
	mapped   map[netip.Addr]string
}

// New is a ledger without pods, for a kernel without counters.
func New() *Ledger {
	return &Ledger{Pods: map[string]*Entry{}, counting: map[string]bool{}, mapped: map[netip.Addr]string{}}
}

// Start notes that a pod got an address. Whoever had the address before has ended.
func (l *Ledger) Start(uid, namespace, pod, container string, address netip.Addr, now time.Time) {
	for other, entry := range l.Pods {
		if other != uid && entry.Ended == 0 && entry.Address == address {
			entry.Ended = now.Unix()
		}
	}
	entry := l.Pods[uid]
	if entry == nil {
		entry = &Entry{}
		l.Pods[uid] = entry
	}
	entry.Namespace, entry.Pod, entry.Container = namespace, pod, container
	entry.Address, entry.Added, entry.Ended = address, now.Unix(), 0
}

// End notes that a sandbox gave its address back. A pod whose sandbox was replaced lives on.
func (l *Ledger) End(container string, now time.Time) {
	for _, entry := range l.Pods {
		if container != "" && entry.Container == container && entry.Ended == 0 {
			entry.Ended = now.Unix()
		}
	}
}

// Holders are the pods that have an address now.
func (l *Ledger) Holders() map[netip.Addr]string {
	found := map[netip.Addr]string{}
	for uid, entry := range l.Pods {
		if entry.Ended == 0 {
			found[entry.Address] = uid
		}
	}
	return found
}

// Read takes in what the kernel holds. Of a pod whose counters are missing, counting begins anew on top
// of its total: store the ledger before new counters are made.
func (l *Ledger) Read(kernel Kernel) {
	for uid, entry := range l.Pods {
		reading, there := kernel.Readings[uid]
		if !there {
			entry.Before = entry.Total
			continue
		}
		total := Bytes{entry.Before.Ingress + reading.Ingress, entry.Before.Egress + reading.Egress}
		entry.Total = Bytes{max(entry.Total.Ingress, total.Ingress), max(entry.Total.Egress, total.Egress)}
	}
	l.counting, l.mapped = map[string]bool{}, map[netip.Addr]string{}
	for uid := range kernel.Readings {
		l.counting[uid] = true
	}
	for address, uid := range kernel.Mapped {
		l.mapped[address] = uid
	}
}

// Script makes the kernel count every pod that has an address, and forget those whose last reading
// has been taken. It is to be applied as one transaction and followed by Applied with the same time.
// Where nothing is to be done it is empty.
func (l *Ledger) Script(now time.Time) string {
	var text strings.Builder
	holders := l.Holders()
	for _, address := range l.stale(holders, now) {
		fmt.Fprintf(&text, "delete element ip %s ingress { %s }\n", Table, address)
		fmt.Fprintf(&text, "delete element ip %s egress { %s }\n", Table, address)
	}
	for _, address := range sorted(holders, netip.Addr.Compare) {
		uid := holders[address]
		if l.mapped[address] == uid {
			continue
		}
		for _, way := range ways {
			fmt.Fprintf(&text, "add counter ip %s %s\n", Table, counter(uid, way))
			fmt.Fprintf(&text, "add element ip %s %s { %s : %q }\n", Table, way, address, counter(uid, way))
		}
	}
	for _, uid := range sorted(l.counting, strings.Compare) {
		if l.settled(uid, now) {
			for _, way := range ways {
				fmt.Fprintf(&text, "delete counter ip %s %s\n", Table, counter(uid, way))
			}
		}
	}
	return text.String()
}

// Due says that Script would remove counters: Read them first, so that no last byte is missed.
func (l *Ledger) Due(now time.Time) bool {
	for uid := range l.counting {
		if l.settled(uid, now) {
			return true
		}
	}
	return false
}

// Applied says that the kernel holds what Script asked for at that moment.
func (l *Ledger) Applied(now time.Time) {
	holders := l.Holders()
	for _, address := range l.stale(holders, now) {
		delete(l.mapped, address)
	}
	for address, uid := range holders {
		l.mapped[address], l.counting[uid] = uid, true
	}
	for uid := range l.counting {
		if l.settled(uid, now) {
			delete(l.counting, uid)
			if entry := l.Pods[uid]; entry != nil {
				entry.Before = entry.Total
			}
		}
	}
}

// Forget drops pods that ended long ago. Only those whose counters are gone.
func (l *Ledger) Forget(now time.Time) {
	var ended []string
	for uid, entry := range l.Pods {
		if entry.Ended != 0 && !l.counting[uid] {
			ended = append(ended, uid)
		}
	}
	slices.SortFunc(ended, func(a, b string) int { return cmp.Compare(l.Pods[b].Ended, l.Pods[a].Ended) })
	for i, uid := range ended {
		if i >= MaxEnded || now.Sub(time.Unix(l.Pods[uid].Ended, 0)) > KeepEnded {
			delete(l.Pods, uid)
		}
	}
}

// settled says that the pod's counters can go: it ended and its last packets have been counted, or
// nobody remembers it.
func (l *Ledger) settled(uid string, now time.Time) bool {
	entry := l.Pods[uid]
	return entry == nil || entry.Ended != 0 && now.Sub(time.Unix(entry.Ended, 0)) > Settle
}

// stale are addresses that lead to counters of a pod that no longer has them. An ended pod keeps its
// address until it is settled or somebody else gets it.
func (l *Ledger) stale(holders map[netip.Addr]string, now time.Time) []netip.Addr {
	found := map[netip.Addr]bool{}
	for address, uid := range l.mapped {
		holder, held := holders[address]
		entry := l.Pods[uid]
		if held && holder != uid || entry == nil || entry.Address != address || l.settled(uid, now) {
			found[address] = true
		}
	}
	return sorted(found, netip.Addr.Compare)
}

var ways = []string{"ingress", "egress"}

func counter(uid, way string) string {
	return prefix + uid + "." + way
}

func sorted[K comparable, V any](table map[K]V, order func(a, b K) int) []K {
	found := make([]K, 0, len(table))
	for key := range table {
		found = append(found, key)
	}
	slices.SortFunc(found, order)
	return found
}
