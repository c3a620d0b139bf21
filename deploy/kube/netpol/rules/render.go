// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"net/netip"
	"sort"
	"strings"

	"trustedpods.dev/kube/netpol/ways"
)

// Render returns the whole table as one transaction: a packet meets the old table or the new one,
// never none and never half of one.
//
// Rules do not look at a packet's own addresses but at those of its connection (`ct original`, `ct
// reply`): who began it, and whom it reached after Services were translated. So replies need no
// exception, every packet in both directions is judged by the policies of this moment, and a
// connection ends when the policy that allowed it does.
//
// Two chains, because `accept` ends a chain only: what the sender's egress allows must then pass the
// receiver's ingress. Towards the node itself only egress counts; from it nothing is filtered.
func Render(world *World) string {
	c := newCompiler(world)
	var known, self, ingress, egress []string
	for _, pod := range c.pods {
		if !pod.Local {
			continue
		}
		known = append(known, pod.Address.String())
		self = append(self, pod.Address.String()+" . "+pod.Address.String())
		if chain, isolated := c.chain(pod, in); isolated {
			ingress = append(ingress, pod.Address.String()+" : goto "+chain)
		}
		if chain, isolated := c.chain(pod, out); isolated {
			egress = append(egress, pod.Address.String()+" : goto "+chain)
		}
	}
	var text strings.Builder
	fmt.Fprintf(&text, "table ip %s\ndelete table ip %s\ntable ip %s {\n", Table, Table, Table)
	writeSet(&text, "set known", "ipv4_addr", known)
	writeSet(&text, "set self", "ipv4_addr . ipv4_addr", self)
	for _, name := range sortedKeys(c.sets) {
		writeSet(&text, "set "+name, "ipv4_addr", c.sets[name])
	}
	for _, name := range sortedKeys(c.chains) {
		writeChain(&text, name, c.chains[name])
	}
	writeSet(&text, "map ingress", "ipv4_addr : verdict", ingress)
	writeSet(&text, "map egress", "ipv4_addr : verdict", egress)
	if len(world.Led) > 0 {
		writeSet(&text, "set led", "inet_service . ipv4_addr . inet_service", world.Led)
	}
	writeHooks(&text, world)
	text.WriteString("}\n")
	writeIPv6(&text)
	return text.String()
}

// writeHooks writes where packets meet the table. -300: before connections are tracked. -10 and -9:
// after Services are translated (prerouting), before kube-proxy's own filter (0).
func writeHooks(text *strings.Builder, world *World) {
	from, to := unknown(world, "saddr"), unknown(world, "daddr")
	exceptions := []string{
		"ct state related meta l4proto icmp accept",
		"ct original ip saddr . ct reply ip saddr @self accept", // through a Service of its own
	}
	judge := func(first []string, last string) []string {
		return append(append(append([]string{}, first...), exceptions...), last)
	}
	byEgress := "ct original ip saddr vmap @egress"
	byIngress := "ct reply ip saddr vmap @ingress"
	writeChain(text, "forged", []string{
		"type filter hook prerouting priority -300; policy accept;",
		fmt.Sprintf("iifname %q fib saddr . iif oif missing counter drop", PodLinks),
	})
	writeChain(text, "sender", judge(append([]string{
		"type filter hook forward priority -10; policy accept;",
	}, append(from, to...)...), byEgress))
	receiver := []string{"type filter hook forward priority -9; policy accept;"}
	if len(world.Led) > 0 { // by ourselves, from the facade's ports: as welcome as from the facade
		receiver = append(receiver, fmt.Sprintf("ct mark %d meta l4proto tcp "+
			"ct original proto-dst . ct reply ip saddr . ct reply proto-src @led accept", ways.Mark))
	}
	writeChain(text, "receiver", judge(receiver, byIngress))
	writeChain(text, "node", judge(append([]string{
		"type filter hook input priority -10; policy accept;",
	}, from...), byEgress))
}

// unknown drops what has no connection to be judged by, and what no pod of the World sends or gets.
func unknown(world *World, side string) []string {
	network := world.PodNetwork.Masked()
	return []string{
		fmt.Sprintf("ip %s %s ct state invalid,untracked counter drop", side, network),
		fmt.Sprintf("ip %s %s ip %s != %s ip %s != @known counter drop", side, network, side, world.gateway(), side),
	}
}

// writeIPv6 closes what the cluster does not use: pods have link-local addresses, and with those they
// could reach the node past the table for IPv4.
func writeIPv6(text *strings.Builder) {
	fmt.Fprintf(text, "table ip6 %s\ndelete table ip6 %s\ntable ip6 %s {\n", Table, Table, Table)
	drop := fmt.Sprintf("iifname %q counter drop", PodLinks)
	writeChain(text, "forward", []string{"type filter hook forward priority -10; policy accept;", drop})
	writeChain(text, "node", []string{"type filter hook input priority -10; policy accept;", drop})
	text.WriteString("}\n")
}

func writeSet(text *strings.Builder, what, of string, elements []string) {
	fmt.Fprintf(text, " %s {\n  type %s;\n", what, of)
	if len(elements) > 0 {
		fmt.Fprintf(text, "  elements = { %s };\n", strings.Join(elements, ", "))
	}
	text.WriteString(" }\n")
}

func writeChain(text *strings.Builder, name string, lines []string) {
	fmt.Fprintf(text, " chain %s {\n", name)
	for _, line := range lines {
		fmt.Fprintf(text, "  %s\n", line)
	}
	text.WriteString(" }\n")
}

func sortedKeys[V any](table map[string]V) []string {
	keys := make([]string, 0, len(table))
	for key := range table {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	return keys
}

func texts(addresses []netip.Addr) []string {
	found := make([]string, len(addresses))
	for i, address := range addresses {
		found[i] = address.String()
	}
	return found
}
