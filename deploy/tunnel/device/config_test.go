// SPDX-License-Identifier: Apache-2.0

package device

import (
	"encoding/base64"
	"encoding/json"
	"net/netip"
	"strings"
	"testing"
	"time"
)

func key(number byte) string {
	raw := make([]byte, 32)
	raw[0], raw[31] = number, 64
	return base64.StdEncoding.EncodeToString(raw)
}

func sound() *Config {
	return &Config{
		Address: netip.MustParseAddr("100.64.0.1"), Port: 51820, Key: key(1),
		Opened: []Opened{{"tcp", 8080}, {"udp", 53}},
		Peers: []Peer{
			{"b", key(2), netip.MustParseAddr("100.64.0.2"), netip.MustParseAddrPort("10.9.0.2:51820")},
			{"c", key(3), netip.MustParseAddr("100.64.0.3"), netip.MustParseAddrPort("10.9.0.3:51821")},
		},
	}
}

func TestWhatNoTunnelCanBeMadeOf(t *testing.T) {
	for name, spoil := range map[string]func(*Config){
		"a key":           func(c *Config) { c.Key = "AAAA" },
		"a peer's key":    func(c *Config) { c.Peers[0].Key = "" },
		"a key twice":     func(c *Config) { c.Peers[0].Key = c.Peers[1].Key },
		"an address":      func(c *Config) { c.Address = netip.MustParseAddr("10.0.0.1") },
		"no address":      func(c *Config) { c.Peers[0].Address = netip.Addr{} },
		"a peer's":        func(c *Config) { c.Peers[0].Address = netip.MustParseAddr("0.0.0.0") },
		"twice":           func(c *Config) { c.Peers[0].Address = c.Address },
		"a port":          func(c *Config) { c.Port = 0 },
		"a peer's place":  func(c *Config) { c.Peers[1].Endpoint = netip.AddrPort{} },
		"a peer's port":   func(c *Config) { c.Peers[1].Endpoint = netip.MustParseAddrPort("10.9.0.3:0") },
		"a protocol":      func(c *Config) { c.Opened[0].Protocol = "tcp dport 1 accept; tcp" },
		"an opened port":  func(c *Config) { c.Opened[0].Port = 0 },
		"too many peers":  func(c *Config) { c.Peers = make([]Peer, MaxPeers+1) },
		"too many opened": func(c *Config) { c.Opened = make([]Opened, MaxOpened+1) },
	} {
		spoilt := sound()
		spoil(spoilt)
		data, _ := json.Marshal(spoilt)
		if _, err := Parse(data); err == nil {
			t.Errorf("%s was taken: %s", name, data)
		}
	}
	data, _ := json.Marshal(sound())
	if _, err := Parse(data); err != nil {
		t.Errorf("the sound one: %v", err)
	}
	if _, err := Parse([]byte("{")); err == nil {
		t.Error("no JSON was taken")
	}
}

func TestTextFromNothingAndFromWhatWas(t *testing.T) {
	config := sound()
	text := config.Text(nil)
	for _, line := range []string{"listen_port=51820\n", "endpoint=10.9.0.2:51820\n", "allowed_ip=100.64.0.2/32\n"} {
		if !strings.Contains(text, line) {
			t.Errorf("no %q in %s", line, text)
		}
	}
	after := sound()
	after.Peers = after.Peers[1:]
	text = after.Text(config)
	if strings.Contains(text, "listen_port") || !strings.Contains(text, "public_key="+digits(key(2))+"\nremove=true\n") {
		t.Errorf("the socket is opened anew, or the peer stays: %s", text)
	}
}

func TestFilterOpensExactlyWhatIsNamed(t *testing.T) {
	text := sound().Filter()
	if strings.Count(text, "dport") != 2 || !strings.Contains(text, "tcp dport 8080 accept") ||
		!strings.Contains(text, "udp dport 53 accept") || !strings.Contains(text, "  reject\n }\n chain forward") {
		t.Error(text)
	}
}

func TestHandshakesAreReadByKey(t *testing.T) {
	found := handshakes("public_key=aa\nlast_handshake_time_sec=0\npublic_key=bb\nlast_handshake_time_sec=7\n")
	if !found["aa"].IsZero() || !found["bb"].Equal(time.Unix(7, 0)) {
		t.Error(found)
	}
}
