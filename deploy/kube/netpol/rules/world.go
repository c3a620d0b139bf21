// SPDX-License-Identifier: Apache-2.0

// Package rules turns Kubernetes' NetworkPolicies into an nftables script. It is pure: what it
// knows of the cluster comes in as a World, and the same World always gives the same text.
package rules

import (
	"net/netip"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// Table is the name of the table that Render replaces as a whole, once for IPv4, once for IPv6.
const Table = "trustedpods-netpol"

// PodLinks matches the node's ends of the links to its pods, as the CNI plugin `ptp` names them.
const PodLinks = "veth*"

// Pod is a pod with an address of its own: neither on its node's network nor finished.
type Pod struct {
	UID       string
	Namespace string
	Name      string
	Address   netip.Addr
	// Local says that the pod is on this node, so that its policies are enforced here.
	Local  bool
	Labels labels.Set
	// Ends says that somebody ends it.
	Ends bool
	// Ports are those of all its containers, for policies that name a port.
	Ports []corev1.ContainerPort
}

// World is everything that decides what may pass.
type World struct {
	Pods       []Pod
	Namespaces map[string]labels.Set
	Policies   []*netv1.NetworkPolicy
	// PodNetwork holds the addresses of this node's pods; its first address is the node's own. An
	// address in it that belongs to no pod of the World passes nothing.
	PodNetwork netip.Prefix
	// Led are connections that the kernel led from ports of the facade to pods, as members of a set of
	// `inet_service . ipv4_addr . inet_service`: the facade's port, the pod's address and port.
	Led []string
}

// gateway is the node's own address in the pod network.
func (w *World) gateway() netip.Addr {
	return w.PodNetwork.Masked().Addr().Next()
}
