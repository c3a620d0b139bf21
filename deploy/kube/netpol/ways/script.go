// SPDX-License-Identifier: Apache-2.0

package ways

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Table is the name of the table that leads connections, and bounds them.
const Table = "trustedpods-facade"

// Mark is what the kernel remembers of connections that this table led ("TPWY").
const Mark = 0x54505759

// maxSources is how many client addresses are counted at once.
const maxSources = 65_536

// Ruling is what the kernel is to do.
type Ruling struct {
	Leading   []Way
	Reached   []Way
	PerSource int
	Lease     time.Duration // that new connections are still led, also if nobody lives to end it
}

// Elements are the members of a set of `inet_service . ipv4_addr . inet_service`: connections that may go on.
func (r Ruling) Elements() []string {
	found := make([]string, len(r.Reached))
	for i, one := range r.Reached {
		found[i] = fmt.Sprintf("%d . %s . %d", one.Port, one.Address, one.Target)
	}
	return found
}

// Kernel is what the kernel's table holds, as far as is known.
type Kernel struct {
	known   bool // else it is written whole, in place of whatever is there
	ruling  Ruling
	network netip.Prefix
	renewed time.Time
}

// Ruling is what the kernel was told last.
func (k Kernel) Ruling() Ruling { return k.ruling }

// Script lets a table of the kernel hold the ruling, as a part of one transaction, and what it holds then.
// Nothing to do is "". Pods of this node, in *network*, are not led past the policies of their own: they meet the
// facade. Only a connection's first packet is led: one that the kernel forgot ends, as at the facade.
func (k Kernel) Script(now Ruling, network netip.Prefix, at time.Time) (string, Kernel) {
	var text strings.Builder
	next := Kernel{true, now, network, k.renewed}
	if now.PerSource == 0 {
		now.PerSource = k.ruling.PerSource
		next.ruling.PerSource = now.PerSource
	}
	before := k
	if !k.known || k.network != network || k.ruling.PerSource != now.PerSource {
		writeTable(&text, now.PerSource, network)
		before = Kernel{}
	}
	led := !slices.Equal(before.ruling.Leading, now.Leading)
	if led {
		writeLeading(&text, before.ruling.Leading, now.Leading)
	}
	if !slices.Equal(before.ruling.Reached, now.Reached) {
		fmt.Fprintf(&text, "flush set ip %s reached\n", Table)
		writeElements(&text, "reached", now.Elements())
	}
	if led || (len(now.Leading) > 0 && at.Sub(k.renewed) >= renewEvery) {
		next.renewed = at
		fmt.Fprintf(&text, "flush set ip %s leased\n", Table)
		writeElements(&text, "leased", each(now.Leading, func(one Way) string {
			return fmt.Sprintf("%d timeout %ds", one.Port, max(1, now.Lease/time.Second))
		}))
	}
	return text.String(), next
}

// writeTable makes a table that leads nowhere. Before kube-proxy's translation (-100); bounds and ends come before
// the policies (-10), so that what is refused is told so, counted by nobody, and not billed.
func writeTable(text *strings.Builder, perSource int, network netip.Prefix) {
	fmt.Fprintf(text, `table ip %[1]s
delete table ip %[1]s
table ip %[1]s {
 set leased { type inet_service; flags timeout; }
 map targets { type inet_service : ipv4_addr . inet_service; }
 map most { type inet_service : verdict; }
 set reached { type inet_service . ipv4_addr . inet_service; }
 set cut { type ipv4_addr . inet_service . inet_service; flags timeout; }
 set sources { type ipv4_addr; size %[2]d; flags dynamic; }
 chain lead {
  type nat hook prerouting priority -101; policy accept;
  ip saddr != %[3]s fib daddr type local tcp flags & (fin|syn|rst|ack) == syn tcp dport @leased goto way
 }
 chain way {
  ct mark set %[4]d dnat to tcp dport map @targets
 }
 chain bound {
  type filter hook forward priority -11; policy accept;
  ct mark %[4]d goto ours
 }
 chain ours {
  meta l4proto tcp ct original proto-dst . ct reply ip saddr . ct reply proto-src != @reached goto refuse
  meta l4proto tcp ct original ip saddr . ct original proto-src . ct original proto-dst @cut goto refuse
  ct state != new return
`, Table, maxSources, network.Masked(), Mark)
	if perSource > 0 {
		fmt.Fprintf(text, "  add @sources { ct original ip saddr ct count over %d } goto refuse\n", perSource)
	}
	text.WriteString("  meta l4proto tcp ct original proto-dst vmap @most\n }\n chain refuse {\n  reject with tcp reset\n }\n}\n")
}

// writeLeading changes where new connections go. A port whose limit stays keeps the count of its connections.
func writeLeading(text *strings.Builder, before, now []Way) {
	fmt.Fprintf(text, "flush map ip %[1]s targets\nflush map ip %[1]s most\n", Table)
	old, wanted := chains(before), chains(now)
	for _, name := range old {
		if !slices.Contains(wanted, name) {
			fmt.Fprintf(text, "delete chain ip %s %s\n", Table, name)
		}
	}
	for i, name := range wanted {
		if !slices.Contains(old, name) {
			fmt.Fprintf(text, "add chain ip %[1]s %[2]s\nadd rule ip %[1]s %[2]s ct count over %[3]d goto refuse\n",
				Table, name, now[i].Most)
		}
	}
	writeElements(text, "targets", each(now, func(one Way) string {
		return fmt.Sprintf("%d : %s . %d", one.Port, one.Address, one.Target)
	}))
	writeElements(text, "most", each(now, func(one Way) string {
		return fmt.Sprintf("%d : goto %s", one.Port, chain(one))
	}))
}

// Cut is an element of the set `cut`: a connection that ends with the next packet of either side.
func Cut(one Connection) string {
	return fmt.Sprintf("add element ip %s cut { %s . %d . %d timeout %ds }\n",
		Table, one.Source.Addr(), one.Source.Port(), one.Port, cutFor/time.Second)
}

// chain bounds a port; its name says all that is in it.
func chain(one Way) string { return fmt.Sprintf("most-%d-%d", one.Port, one.Most) }

func chains(ways []Way) []string { return each(ways, chain) }

func each(ways []Way, do func(Way) string) []string {
	found := make([]string, len(ways))
	for i, one := range ways {
		found[i] = do(one)
	}
	return found
}

func writeElements(text *strings.Builder, set string, elements []string) {
	if len(elements) > 0 {
		fmt.Fprintf(text, "add element ip %s %s { %s }\n", Table, set, strings.Join(elements, ", "))
	}
}
