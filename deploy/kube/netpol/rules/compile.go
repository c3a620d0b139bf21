// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"crypto/sha256"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"strings"

	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// direction is seen from the pod that a policy isolates.
type direction int

const (
	in direction = iota
	out
)

// peer is the part of a rule that names the other side of a connection.
func (d direction) peer() string {
	if d == in {
		return "ct original ip saddr "
	}
	return "ct reply ip saddr "
}

// rule is one entry of a policy's `ingress` or `egress`, both of one form.
type rule struct {
	peers []netv1.NetworkPolicyPeer
	ports []netv1.NetworkPolicyPort
}

// match is one way to be a peer: text that precedes the ports, and the pods it stands for, whose
// names of ports count.
type match struct {
	text string
	pods []*Pod
}

// compiler collects chains and sets, each named after what is in it: pods under the same policies
// share a chain, and a table for hundreds of equal pods is small.
type compiler struct {
	world    *World
	pods     []*Pod
	policies map[string][]*netv1.NetworkPolicy
	sets     map[string][]string
	chains   map[string][]string
	matches  map[string][]match
}

func newCompiler(world *World) *compiler {
	c := &compiler{
		world:    world,
		policies: map[string][]*netv1.NetworkPolicy{},
		sets:     map[string][]string{},
		chains:   map[string][]string{},
		matches:  map[string][]match{},
	}
	for i := range world.Pods {
		if world.Pods[i].Address.Is4() {
			c.pods = append(c.pods, &world.Pods[i])
		}
	}
	sort.Slice(c.pods, func(i, j int) bool { return c.pods[i].Address.Less(c.pods[j].Address) })
	for _, policy := range world.Policies {
		c.policies[policy.Namespace] = append(c.policies[policy.Namespace], policy)
	}
	return c
}

// chain is the name of the chain that judges the pod's connections in one direction; false where no
// policy isolates it, so that everything passes.
func (c *compiler) chain(pod *Pod, d direction) (string, bool) {
	isolated := false
	var lines []string
	for _, policy := range c.policies[pod.Namespace] {
		if !isolates(policy, d) || !selects(&policy.Spec.PodSelector, pod.Labels) {
			continue
		}
		isolated = true
		for i, rule := range rulesOf(policy, d) {
			key := fmt.Sprintf("%s/%s/%d/%d", policy.Namespace, policy.Name, d, i)
			for _, match := range c.matchesOf(key, policy.Namespace, rule.peers, d) {
				lines = append(lines, c.accepts(match, rule.ports, pod, d)...)
			}
		}
	}
	if !isolated {
		return "", false
	}
	sort.Strings(lines)
	lines = append(slices.Compact(lines), "counter drop")
	name := "allow-" + digest(lines)
	c.chains[name] = lines
	return name, true
}

// isolates says whether the policy is of that direction. The API server fills in policyTypes.
func isolates(policy *netv1.NetworkPolicy, d direction) bool {
	wanted := netv1.PolicyTypeIngress
	if d == out {
		wanted = netv1.PolicyTypeEgress
	}
	return slices.Contains(policy.Spec.PolicyTypes, wanted)
}

// selects is false for a selector that makes no sense: the API server admits none.
func selects(selector *metav1.LabelSelector, of labels.Set) bool {
	made, err := metav1.LabelSelectorAsSelector(selector)
	return err == nil && made.Matches(of)
}

func rulesOf(policy *netv1.NetworkPolicy, d direction) []rule {
	var found []rule
	if d == in {
		for _, entry := range policy.Spec.Ingress {
			found = append(found, rule{entry.From, entry.Ports})
		}
		return found
	}
	for _, entry := range policy.Spec.Egress {
		found = append(found, rule{entry.To, entry.Ports})
	}
	return found
}

// matchesOf finds a rule's peers once, however many pods the policy isolates. No peers: everybody.
func (c *compiler) matchesOf(key, namespace string, peers []netv1.NetworkPolicyPeer, d direction) []match {
	if found, done := c.matches[key]; done {
		return found
	}
	var found []match
	if len(peers) == 0 {
		found = []match{{"", c.pods}}
	}
	var chosen []*Pod
	for _, peer := range peers {
		if peer.IPBlock != nil {
			if made, ok := c.block(peer.IPBlock, d); ok {
				found = append(found, made)
			}
			continue
		}
		for _, pod := range c.pods {
			if c.isPeer(&peer, namespace, pod) && !slices.Contains(chosen, pod) {
				chosen = append(chosen, pod)
			}
		}
	}
	if len(chosen) > 0 {
		found = append(found, match{c.inSet(d, chosen), chosen})
	}
	c.matches[key] = found
	return found
}

func (c *compiler) isPeer(peer *netv1.NetworkPolicyPeer, namespace string, pod *Pod) bool {
	switch {
	case peer.NamespaceSelector == nil && pod.Namespace != namespace:
		return false
	case peer.NamespaceSelector != nil && !selects(peer.NamespaceSelector, c.world.Namespaces[pod.Namespace]):
		return false
	}
	return peer.PodSelector == nil || selects(peer.PodSelector, pod.Labels)
}

// block is the match of an ipBlock. An IPv6 block matches nothing: the cluster has IPv4 only.
func (c *compiler) block(block *netv1.IPBlock, d direction) (match, bool) {
	network, err := netip.ParsePrefix(block.CIDR)
	if err != nil || !network.Addr().Is4() {
		return match{}, false
	}
	text := d.peer() + network.Masked().String() + " "
	if network.Bits() == 0 {
		text = ""
	}
	var excepts []netip.Prefix
	for _, written := range block.Except {
		if except, err := netip.ParsePrefix(written); err == nil && except.Addr().Is4() {
			excepts = append(excepts, except.Masked())
			text += d.peer() + "!= " + except.Masked().String() + " "
		}
	}
	var pods []*Pod
	for _, pod := range c.pods {
		excluded := func(except netip.Prefix) bool { return except.Contains(pod.Address) }
		if network.Contains(pod.Address) && !slices.ContainsFunc(excepts, excluded) {
			pods = append(pods, pod)
		}
	}
	return match{text, pods}, true
}

// inSet is the match of any of these pods.
func (c *compiler) inSet(d direction, pods []*Pod) string {
	addresses := make([]netip.Addr, len(pods))
	for i, pod := range pods {
		addresses[i] = pod.Address
	}
	slices.SortFunc(addresses, netip.Addr.Compare)
	members := texts(addresses)
	if len(members) == 1 {
		return d.peer() + members[0] + " "
	}
	name := "pods-" + digest(members)
	c.sets[name] = members
	return d.peer() + "@" + name + " "
}

func digest(parts []string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return fmt.Sprintf("%x", sum[:8])
}
