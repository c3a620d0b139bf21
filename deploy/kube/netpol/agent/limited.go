// SPDX-License-Identifier: Apache-2.0

package main

import (
	"log"

	"trustedpods.dev/kube/netpol/limits"
	"trustedpods.dev/kube/netpol/rules"
)

const (
	// ownNamespace is the daemon's, which writes both notes there (provider/cluster/networks/egress_limits.py).
	ownNamespace    = "trustedpods-system"
	mbitNote        = "trustedpods.dev/egress-mbit-of-a-pod"
	connectionsNote = "trustedpods.dev/new-connections-of-a-pod"
)

// limited is what the kernel's table of limits holds, as far as is known.
type limited struct {
	known   bool // else it is written whole, in place of whatever is there
	limits  limits.Limits
	pods    []limits.Pod
	refused map[string]uint64 // packets, by the pod's uid
}

// limits are what the daemon noted; false where it said nothing that can be read: what holds then stays.
func (c *cluster) limits() (limits.Limits, bool) {
	namespace, err := c.namespaces.Get(ownNamespace)
	if err != nil {
		return limits.Limits{}, false
	}
	found, err := limits.Parse(namespace.Annotations[mbitNote], namespace.Annotations[connectionsNote])
	wrong := ""
	if err != nil {
		wrong = err.Error()
	}
	if wrong != "" && wrong != c.wrongLimits {
		log.Printf("limits of what pods send, noted at %s, are left as they were: %v", ownNamespace, err)
	}
	c.wrongLimits = wrong
	return found, err == nil
}

// limit is what the kernel still needs to hold this world's pods to the limits, and what it holds then.
func (a *agent) limit(world *rules.World) (string, limited) {
	wanted, said := a.seen.limits()
	if !said && !a.limited.known {
		return "", a.limited
	}
	if !said {
		wanted = a.limited.limits
	}
	now := limited{true, wanted, bounded(world), a.limited.refused}
	if a.limited.known && wanted == a.limited.limits {
		if wanted == (limits.Limits{}) {
			return "", now
		}
		return limits.Change(a.limited.pods, now.pods), now
	}
	now.refused = refusedSoFar()
	return limits.Replace(wanted, now.pods, now.refused), now
}

// bounded are the provider's pods here: what runs for the cluster itself has no limits.
func bounded(world *rules.World) []limits.Pod {
	var found []limits.Pod
	for _, pod := range world.Pods {
		if pod.Local && pod.Labels[podLabel] != "" && pod.Address.Is4() {
			found = append(found, limits.Pod{UID: pod.UID, Address: pod.Address})
		}
	}
	return found
}

// readLimited takes in what was refused; a table that somebody took away is written again.
func (a *agent) readLimited() {
	if !a.limited.known || a.limited.limits == (limits.Limits{}) {
		return
	}
	a.limited.refused = refusedSoFar()
	a.limited.known = a.limited.refused != nil
}

// refusedSoFar is nil where there is no table that can be read.
func refusedSoFar() map[string]uint64 {
	listing, err := list(limits.Table)
	if err != nil {
		return nil
	}
	found, err := limits.Refused(listing)
	if err != nil {
		log.Print(err)
		return nil
	}
	return found
}
