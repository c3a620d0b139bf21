// SPDX-License-Identifier: Apache-2.0

// Package limits bounds how much each of the provider's pods may send past its node's own processes. It is pure: what
// the operator wants and which pods there are come in, nftables scripts go out.
//
// The rules stand in a table of their own, which is not there where nobody wants limits. They come behind the policies
// (-10) and before the traffic's counters (10): what they refuse has not left, and is neither counted nor billed.
package limits

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// Table is the name of the table that Replace writes as a whole.
const Table = "trustedpods-limits"

const (
	// MostMbit keeps a burst below 2^32 bytes, which is the kernel's bound.
	MostMbit = 100_000
	// MostConnections is more than any node's table of connections takes in a second.
	MostConnections = 1_000_000
	// burstParts: beside the second's worth that the kernel's bucket of bytes holds by itself, a quarter more.
	burstParts = 4
	// leastBurst is twice what a sender's own device hands over at once (64 KiB).
	leastBurst = 128 * 1024
	// maxAddresses is more than a node has pods: so many buckets are remembered.
	maxAddresses = 65_536
	// prefix of the counters' names: nftables wants a letter first.
	prefix = "pod-"
)

// Limits are those of one pod; 0 is no limit.
type Limits struct {
	Mbit        int // 10^6 bits a second
	Connections int // new ones a second
}

// Pod is one that is held to the limits.
type Pod struct {
	UID     string
	Address netip.Addr
}

// Parse reads both numbers, "" for no limit; what is no number in bounds is an error, and nothing is known then.
func Parse(mbit, connections string) (Limits, error) {
	m, err := number(mbit, MostMbit)
	if err != nil {
		return Limits{}, err
	}
	c, err := number(connections, MostConnections)
	return Limits{m, c}, err
}

func number(text string, most int) (int, error) {
	if text == "" {
		return 0, nil
	}
	found, err := strconv.Atoi(text)
	if err != nil || found < 1 || found > most {
		return 0, fmt.Errorf("not a number of 1 to %d: %.40q", most, text)
	}
	return found, nil
}

// Refused is how many packets of each pod, by its uid, were refused so far: `nft -j list table ip trustedpods-limits`.
func Refused(listing []byte) (map[string]uint64, error) {
	var all struct {
		Objects []struct {
			Counter *struct {
				Name    string `json:"name"`
				Packets uint64 `json:"packets"`
			} `json:"counter"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(listing, &all); err != nil {
		return nil, fmt.Errorf("the listing of %s is not what nft writes: %w", Table, err)
	}
	found := map[string]uint64{}
	for _, object := range all.Objects {
		if object.Counter != nil {
			if uid, ours := strings.CutPrefix(object.Counter.Name, prefix); ours {
				found[uid] = object.Counter.Packets
			}
		}
	}
	return found, nil
}

// Replace is the whole table in place of one of whatever version, one transaction; without limits there is none
// afterwards. Counters go on from *refused*; buckets begin full.
//
// A connection is new until its first packet has passed: repeated ones are not counted again, nor are answers to those
// that others began. Bytes are all that the pod sends, in whichever connection.
func Replace(l Limits, pods []Pod, refused map[string]uint64) string {
	var text strings.Builder
	fmt.Fprintf(&text, "table ip %[1]s\ndelete table ip %[1]s\n", Table)
	if l == (Limits{}) {
		return text.String()
	}
	fmt.Fprintf(&text, "table ip %s {\n", Table)
	for _, pod := range ordered(pods) {
		fmt.Fprintf(&text, " counter %s%s { packets %d bytes 0 }\n", prefix, pod.UID, refused[pod.UID])
	}
	text.WriteString(" set bounded { type ipv4_addr; }\n map refused { type ipv4_addr : counter; }\n")
	for _, name := range []string{"connections", "bytes"} {
		fmt.Fprintf(&text, " set %s { type ipv4_addr; size %d; flags dynamic; }\n", name, maxAddresses)
	}
	text.WriteString(" chain refuse {\n  counter name ip saddr map @refused\n  drop\n }\n")
	text.WriteString(" chain bound {\n  type filter hook forward priority 5; policy accept;\n")
	if l.Connections > 0 {
		fmt.Fprintf(&text, "  ip saddr @bounded ct direction original ct state new ct status ! confirmed "+
			"update @connections { ip saddr limit rate over %[1]d/second burst %[1]d packets } goto refuse\n", l.Connections)
	}
	if l.Mbit > 0 {
		rate := l.Mbit * 125_000
		fmt.Fprintf(&text, "  ip saddr @bounded update @bytes "+
			"{ ip saddr limit rate over %d bytes/second burst %d bytes } goto refuse\n", rate, max(rate/burstParts, leastBurst))
	}
	text.WriteString(" }\n}\n")
	return text.String() + elements(pods)
}

// Change lets a table that Replace wrote hold *pods*, of which it has counters of *before*; nothing to do is "".
// A pod that is still there keeps its bucket and its counter.
func Change(before, pods []Pod) string {
	before, pods = ordered(before), ordered(pods)
	if slices.Equal(before, pods) {
		return ""
	}
	var text strings.Builder
	fmt.Fprintf(&text, "flush set ip %[1]s bounded\nflush map ip %[1]s refused\n", Table)
	for _, pod := range before {
		if !slices.ContainsFunc(pods, func(one Pod) bool { return one.UID == pod.UID }) {
			fmt.Fprintf(&text, "delete counter ip %s %s%s\n", Table, prefix, pod.UID)
		}
	}
	for _, pod := range pods {
		if !slices.ContainsFunc(before, func(one Pod) bool { return one.UID == pod.UID }) {
			fmt.Fprintf(&text, "add counter ip %s %s%s\n", Table, prefix, pod.UID)
		}
	}
	return text.String() + elements(pods)
}

func elements(pods []Pod) string {
	if len(pods) == 0 {
		return ""
	}
	var members, counters []string
	for _, pod := range ordered(pods) {
		members = append(members, pod.Address.String())
		counters = append(counters, fmt.Sprintf("%s : %q", pod.Address, prefix+pod.UID))
	}
	return fmt.Sprintf("add element ip %[1]s bounded { %[2]s }\nadd element ip %[1]s refused { %[3]s }\n",
		Table, strings.Join(members, ", "), strings.Join(counters, ", "))
}

// ordered are the pods by address; of two that claim one address it is always the same one.
func ordered(pods []Pod) []Pod {
	byAddress := map[netip.Addr]Pod{}
	for _, pod := range pods {
		if other, taken := byAddress[pod.Address]; !taken || other.UID < pod.UID {
			byAddress[pod.Address] = pod
		}
	}
	found := make([]Pod, 0, len(byAddress))
	for _, pod := range byAddress {
		found = append(found, pod)
	}
	slices.SortFunc(found, func(one, other Pod) int { return one.Address.Compare(other.Address) })
	return found
}
