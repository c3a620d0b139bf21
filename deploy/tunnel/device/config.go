// SPDX-License-Identifier: Apache-2.0

// Package device is an encrypted link of a node to other nodes of its network: a WireGuard device in the
// node's own network namespace (docs/adr/0012-tunnels-in-the-pods-namespace.md). Who runs there holds no
// capability, so what is set up here is out of its reach; its packets leave as UDP through the namespace's own
// link, where policies judge and counters count them as any others.
package device

import (
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

const (
	// Link is the device's name in the namespace.
	Link = "tunnel0"
	// MaxPeers is as many nodes as one pod calls (protocol/limits.py).
	MaxPeers = 64
	// MaxOpened bounds the ports that peers may call: a pod's services have so many at most.
	MaxOpened = 64
	// keepalive, in seconds, keeps the way back open in the connection tables on both sides, which forget
	// UDP after 30 s of silence at the earliest.
	keepalive = 20
)

// Range has all tunnels' addresses: shared address space (RFC 6598), which no provider routes.
var Range = netip.MustParsePrefix("100.64.0.0/10")

// Config is what one node's tunnel is to be: its address in it, the UDP port at which it listens, its private
// key, the ports that are open to its peers, and those.
type Config struct {
	Address netip.Addr `json:"address"`
	Port    uint16     `json:"port"`
	Key     string     `json:"key"`
	Opened  []Opened   `json:"opened"`
	Peers   []Peer     `json:"peers"`
}

// Opened is a port of the node that its peers may call.
type Opened struct {
	Protocol string `json:"protocol"`
	Port     uint16 `json:"port"`
}

// Peer is another node: its public key, its address in the tunnel, and where it listens.
type Peer struct {
	Node     string         `json:"node"`
	Key      string         `json:"key"`
	Address  netip.Addr     `json:"address"`
	Endpoint netip.AddrPort `json:"endpoint"`
}

// Parse reads a Config, and refuses what no tunnel can be made of.
func Parse(data []byte) (*Config, error) {
	made := &Config{}
	if err := json.Unmarshal(data, made); err != nil {
		return nil, err
	}
	if len(made.Peers) > MaxPeers || len(made.Opened) > MaxOpened {
		return nil, fmt.Errorf("%d peers and %d ports are too many", len(made.Peers), len(made.Opened))
	}
	if digits(made.Key) == "" {
		return nil, errors.New("its own key is not 32 bytes in base64")
	}
	seen := map[netip.Addr]bool{}
	for _, address := range made.addresses() {
		if !Range.Contains(address) || seen[address] {
			return nil, fmt.Errorf("%s is outside of %s, or there twice", address, Range)
		}
		seen[address] = true
	}
	keys := map[string]bool{}
	for _, peer := range made.Peers {
		if digits(peer.Key) == "" || keys[peer.Key] || !peer.Endpoint.IsValid() || peer.Endpoint.Port() == 0 {
			return nil, fmt.Errorf("the peer %q has no key of its own, or no place to be called at", peer.Node)
		}
		keys[peer.Key] = true
	}
	for _, one := range made.Opened {
		if one.Port == 0 || one.Protocol != "tcp" && one.Protocol != "udp" {
			return nil, fmt.Errorf("not a port that can be opened: %s/%d", one.Protocol, one.Port)
		}
	}
	if made.Port == 0 {
		return nil, errors.New("no port to listen on")
	}
	return made, nil
}

func (c *Config) addresses() []netip.Addr {
	found := []netip.Addr{c.Address}
	for _, peer := range c.Peers {
		found = append(found, peer.Address)
	}
	return found
}

// Text is what WireGuard's own interface is told to come from *before*, nil at first, to this configuration.
// Peers that stay keep their sessions, and the socket stays open.
func (c *Config) Text(before *Config) string {
	var text strings.Builder
	gone := map[string]bool{}
	if before == nil {
		fmt.Fprintf(&text, "listen_port=%d\n", c.Port)
	} else {
		for _, peer := range before.Peers {
			gone[peer.Key] = true
		}
	}
	fmt.Fprintf(&text, "private_key=%s\n", digits(c.Key))
	for _, peer := range c.Peers {
		delete(gone, peer.Key)
	}
	for _, key := range slices.Sorted(maps.Keys(gone)) { // first: another may have the address now
		fmt.Fprintf(&text, "public_key=%s\nremove=true\n", digits(key))
	}
	for _, peer := range c.Peers {
		fmt.Fprintf(&text, "public_key=%s\nendpoint=%s\n", digits(peer.Key), peer.Endpoint)
		fmt.Fprintf(&text, "persistent_keepalive_interval=%d\n", keepalive)
		fmt.Fprintf(&text, "replace_allowed_ips=true\nallowed_ip=%s/32\n", peer.Address)
	}
	return text.String()
}

// Filter is an nftables script for the namespace: out of the tunnel come answers, and calls at the
// opened ports. Nobody else speaks for the tunnel's addresses, or to them. Nothing is passed on between the
// tunnel and other links, although namespaces often forward as their node does: no policy would judge it.
func (c *Config) Filter() string {
	var text strings.Builder
	text.WriteString("table ip tunnel\ndelete table ip tunnel\ntable ip tunnel {\n chain input {\n")
	text.WriteString("  type filter hook input priority 0; policy accept;\n")
	for _, side := range []string{"saddr", "daddr"} {
		fmt.Fprintf(&text, "  iifname != %q iifname != \"lo\" ip %s %s drop\n", Link, side, Range)
	}
	fmt.Fprintf(&text, "  iifname != %q return\n", Link)
	text.WriteString("  ct state established,related accept\n")
	for _, one := range c.Opened {
		fmt.Fprintf(&text, "  %s dport %d accept\n", one.Protocol, one.Port)
	}
	text.WriteString("  meta l4proto tcp reject with tcp reset\n  reject\n }\n")
	text.WriteString(" chain forward {\n  type filter hook forward priority 0; policy accept;\n")
	fmt.Fprintf(&text, "  iifname %q drop\n  oifname %q drop\n }\n}\n", Link, Link)
	return text.String()
}

// digits turns a key of 32 bytes in base64 into what WireGuard takes; empty where it is none.
func digits(text string) string {
	raw, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(raw) != 32 {
		return ""
	}
	return hex.EncodeToString(raw)
}
