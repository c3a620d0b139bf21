// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strings"
)

// prefix of the counters' names: nftables wants a letter first.
const prefix = "pod-"

// Base makes the table, once. Priority 10: after policies (-10) and kube-proxy's filter (0), so that
// only what passes is counted. Only forwarded packets: what the node's own processes (facade,
// kubelet) exchange with a pod goes through other hooks.
func Base() string {
	return fmt.Sprintf(`table ip %s {
 map ingress { type ipv4_addr : counter; }
 map egress { type ipv4_addr : counter; }
 chain count {
  type filter hook forward priority 10; policy accept;
  counter name ip daddr map @ingress
  counter name ip saddr map @egress
 }
}
`, Table)
}

// Parse reads `nft -j list table ip trustedpods-traffic`.
func Parse(listing []byte) (Kernel, error) {
	var all struct {
		Objects []struct {
			Counter *struct {
				Name  string `json:"name"`
				Bytes uint64 `json:"bytes"`
			} `json:"counter"`
			Map *struct {
				Name     string      `json:"name"`
				Elements [][2]string `json:"elem"`
			} `json:"map"`
		} `json:"nftables"`
	}
	if err := json.Unmarshal(listing, &all); err != nil {
		return Kernel{}, fmt.Errorf("the listing of %s is not what nft writes: %w", Table, err)
	}
	kernel := Kernel{map[string]Bytes{}, map[netip.Addr]string{}}
	for _, object := range all.Objects {
		if object.Counter != nil {
			kernel.take(object.Counter.Name, object.Counter.Bytes)
		}
		if object.Map != nil && object.Map.Name == "egress" {
			for _, element := range object.Map.Elements {
				address, err := netip.ParseAddr(element[0])
				uid, _, ours := parts(element[1])
				if err != nil || !ours {
					return Kernel{}, fmt.Errorf("%s has an element that is not ours: %v", Table, element)
				}
				kernel.Mapped[address] = uid
			}
		}
	}
	return kernel, nil
}

func (k *Kernel) take(name string, bytes uint64) {
	uid, way, ours := parts(name)
	if !ours {
		return
	}
	sums := k.Readings[uid]
	if way == "ingress" {
		sums.Ingress = bytes
	} else {
		sums.Egress = bytes
	}
	k.Readings[uid] = sums
}

// parts takes a counter's name apart.
func parts(name string) (uid, way string, ours bool) {
	rest, ours := strings.CutPrefix(name, prefix)
	uid, way, found := strings.Cut(rest, ".")
	return uid, way, ours && found
}
