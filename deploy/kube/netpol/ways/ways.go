// SPDX-License-Identifier: Apache-2.0

// Package ways lets the kernel carry connections from ports of the facade to pods of this node, past the
// facade's own process. It is pure but for flows.go: what the provider's daemon asks for and which pods there
// are come in, nftables scripts go out.
//
// New connections follow a lease that the kernel ends by itself; without it they meet the facade, which is
// told the same. Connections that are there go on until their pod is over or their port is another's. Both are
// judged anew whenever pods change, in one transaction with the policies: before an address is another pod's
// nothing leads to it any more.
package ways

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"time"
)

const (
	// MaxLease bounds how long new connections are led to a pod when nobody asks for it any more.
	MaxLease = 30 * time.Second
	// renewEvery is how often the kernel is told that a lease goes on: often enough that none ends in between.
	renewEvery = MaxLease / 3
	// maxLabel is what Kubernetes lets a label's value have.
	maxLabel = 63
	// mostConnections is more than any node's table of connections takes.
	mostConnections = 1_000_000
	// mostReached is some times as many as a facade has ports: pods change, and what they have open ends.
	mostReached = 4096
)

// Pod is one that connections may be led to: of this node, and the provider's.
type Pod struct {
	Label   string // the value of the provider's own label
	Address netip.Addr
	Ends    bool // gets nothing new
}

// Way leads new connections of a port of the facade to a port of a pod, as long as the pod has that address.
type Way struct {
	Port    uint16     `json:"port"`
	Pod     string     `json:"pod"`
	Address netip.Addr `json:"address"`
	Target  uint16     `json:"target"`
	// Most connections at once; what is beyond is refused.
	Most int `json:"most,omitempty"`
}

// Ports are the facade's, both ends among them: nothing else is led anywhere.
type Ports struct{ First, Last uint16 }

// ParsePorts reads `FIRST-LAST`.
func ParsePorts(text string) (Ports, error) {
	var found Ports
	_, err := fmt.Sscanf(text, "%d-%d", &found.First, &found.Last)
	if err != nil || found.First == 0 || found.First > found.Last || text != found.String() {
		return Ports{}, fmt.Errorf("not a range of ports, as 31000-31063: %.40q", text)
	}
	return found, nil
}

func (p Ports) String() string { return fmt.Sprintf("%d-%d", p.First, p.Last) }

func (p Ports) has(port uint16) bool { return p.First <= port && port <= p.Last }

// Wanted is all that the daemon wants at one moment.
type Wanted struct {
	// Turn grows with each question of this machine's daemons: an older one that comes late changes nothing.
	Turn uint64 `json:"turn"`
	Ways []Way  `json:"ways"`
	// Owners are the labels of the pods whose services have ports, led there by the kernel or not.
	Owners map[uint16]string `json:"owners"`
	// PerSource connections at once of one client address, to all ports together.
	PerSource int    `json:"perSource"`
	Seconds   uint64 `json:"seconds"`
}

// Check says what of it no daemon of ours says.
func (w *Wanted) Check(ports Ports) error {
	seen := map[uint16]bool{}
	for _, way := range w.Ways {
		switch {
		case !ports.has(way.Port) || seen[way.Port]:
			return fmt.Errorf("port %d is none of %s, or there twice", way.Port, ports)
		case way.Target == 0 || !way.Address.Is4() || !isLabel(way.Pod):
			return fmt.Errorf("port %d leads to no pod", way.Port)
		case way.Most < 1 || way.Most > mostConnections:
			return fmt.Errorf("port %d: not a number of connections: %d", way.Port, way.Most)
		case w.Owners[way.Port] != way.Pod:
			return fmt.Errorf("port %d is not the pod's", way.Port)
		}
		seen[way.Port] = true
	}
	for port, owner := range w.Owners {
		if !ports.has(port) || !isLabel(owner) {
			return fmt.Errorf("port %d is none of %s, or nobody's", port, ports)
		}
	}
	if w.PerSource < 1 || w.PerSource > mostConnections {
		return fmt.Errorf("not a number of connections: %d", w.PerSource)
	}
	return nil
}

func isLabel(text string) bool { return text != "" && len(text) <= maxLabel }

// Book is what is remembered. It is stored as JSON: connections outlive the agent.
type Book struct {
	// Reached are ways of connections that may go on, newest last.
	Reached []Way             `json:"reached"`
	Owners  map[uint16]string `json:"owners"`

	turn   uint64
	wanted []Way
	most   int // connections of one client address
	until  time.Time
}

// Take remembers what is wanted, for as long as its lease goes.
func (b *Book) Take(wanted Wanted, now time.Time) error {
	if wanted.Turn < b.turn {
		return errors.New("a later question was answered")
	}
	b.turn = wanted.Turn
	lease := time.Duration(min(wanted.Seconds, uint64(MaxLease/time.Second))) * time.Second
	b.wanted, b.most, b.until = slices.Clone(wanted.Ways), wanted.PerSource, now.Add(lease)
	b.Owners = wanted.Owners
	for _, way := range b.wanted {
		way.Most = 0 // who may go on is not a matter of the limit
		if !slices.Contains(b.Reached, way) {
			b.Reached = append(b.Reached, way)
		}
	}
	b.Reached = b.Reached[max(0, len(b.Reached)-mostReached):] // the oldest go
	return nil
}

// Judge forgets what leads to no pod any more, and is the kernel's part of what is left.
func (b *Book) Judge(pods []Pod, now time.Time) Ruling {
	held := map[way]bool{}
	ends := map[way]bool{}
	for _, pod := range pods {
		held[way{pod.Label, pod.Address}] = true
		ends[way{pod.Label, pod.Address}] = pod.Ends
	}
	b.Reached = slices.DeleteFunc(b.Reached, func(one Way) bool {
		return !held[one.end()] || b.Owners[one.Port] != one.Pod
	})
	ruling := Ruling{PerSource: b.most, Reached: slices.Clone(b.Reached)}
	if now.Before(b.until) {
		for _, one := range b.wanted {
			if held[one.end()] && !ends[one.end()] {
				ruling.Leading = append(ruling.Leading, one)
			}
		}
		ruling.Lease = b.until.Sub(now)
	}
	slices.SortFunc(ruling.Leading, compare)
	slices.SortFunc(ruling.Reached, compare)
	return ruling
}

// way is the end of one: a pod by its label and address.
type way struct {
	label   string
	address netip.Addr
}

func (w Way) end() way { return way{w.Pod, w.Address} }

func compare(one, other Way) int {
	if one.Port != other.Port {
		return int(one.Port) - int(other.Port)
	}
	if order := one.Address.Compare(other.Address); order != 0 {
		return order
	}
	return int(one.Target) - int(other.Target)
}
