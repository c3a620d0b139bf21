// SPDX-License-Identifier: Apache-2.0

package device

import (
	"crypto/ecdh"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// within bounds each exchange: a handshake takes milliseconds, on a busy machine some seconds.
const within = 20 * time.Second

// pair is two namespaces with one link between them, and a tunnel in each.
type pair struct {
	names   [2]string
	configs [2]*Config
	devices [2]*Device
}

func (p *pair) path(side int) string { return "/run/netns/" + p.names[side] }

func (p *pair) outside(side int) netip.Addr {
	return netip.AddrFrom4([4]byte{10, 231, 0, byte(side + 1)})
}

func shell(t *testing.T, words ...string) {
	t.Helper()
	if output, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, output)
	}
}

func joined(t *testing.T) *pair {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil || os.Geteuid() != 0 {
		t.Skip("tunnels need root and /dev/net/tun")
	}
	made := &pair{}
	publics := [2]string{}
	for side := range 2 {
		made.names[side] = fmt.Sprintf("tunnel-test-%d-%d", os.Getpid(), side)
		shell(t, "ip", "netns", "add", made.names[side])
		t.Cleanup(func() { shell(t, "ip", "netns", "delete", made.names[side]) })
		private, err := ecdh.X25519().GenerateKey(rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		publics[side] = base64.StdEncoding.EncodeToString(private.PublicKey().Bytes())
		made.configs[side] = &Config{
			Address: netip.AddrFrom4([4]byte{100, 64, 0, byte(side + 1)}), Port: 51820,
			Key:    base64.StdEncoding.EncodeToString(private.Bytes()),
			Opened: []Opened{{"tcp", 8080}, {"udp", 8053}},
		}
	}
	shell(t, "ip", "link", "add", "eth0", "netns", made.names[0], "type", "veth", "peer", "eth0", "netns", made.names[1])
	for side, name := range made.names {
		shell(t, "ip", "-n", name, "address", "add", made.outside(side).String()+"/24", "dev", "eth0")
		shell(t, "ip", "-n", name, "link", "set", "eth0", "up")
		shell(t, "ip", "-n", name, "link", "set", "lo", "up")
		made.configs[side].Peers = []Peer{
			{"far", publics[1-side], made.configs[1-side].Address, netip.AddrPortFrom(made.outside(1-side), 51820)},
		}
	}
	for side := range made.devices {
		device, err := Open(made.path(side), made.configs[side])
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(device.Close)
		made.devices[side] = device
	}
	return made
}

// answers echoes in the second namespace at all of *places*, as `network address`.
func (p *pair) answers(t *testing.T, places ...[2]string) {
	t.Helper()
	for _, place := range places {
		err := inside(p.path(1), func() error {
			if place[0] == "udp" {
				socket, err := net.ListenPacket("udp4", place[1])
				if err == nil {
					t.Cleanup(func() { socket.Close() })
					go func() {
						buffer := make([]byte, 2048)
						for n, from, err := socket.ReadFrom(buffer); err == nil; n, from, err = socket.ReadFrom(buffer) {
							_, _ = socket.WriteTo(buffer[:n], from)
						}
					}()
				}
				return err
			}
			listener, err := net.Listen("tcp4", place[1])
			if err == nil {
				t.Cleanup(func() { listener.Close() })
				go func() {
					for c, err := listener.Accept(); err == nil; c, err = listener.Accept() {
						fmt.Fprint(c, c.RemoteAddr().(*net.TCPAddr).IP)
						c.Close()
					}
				}()
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// call is what the far side answers.
func (p *pair) call(network, address string) (answer string, err error) {
	failed := inside(p.path(0), func() error {
		connection, err := net.DialTimeout(network, address, within)
		if err != nil {
			return err
		}
		defer connection.Close()
		_ = connection.SetDeadline(time.Now().Add(within))
		fmt.Fprint(connection, "hello")
		buffer := make([]byte, 2048)
		n, err := connection.Read(buffer)
		answer = string(buffer[:n])
		return err
	})
	return answer, failed
}

func TestPeersReachOpenedPortsAloneByTheTunnelsAddresses(t *testing.T) {
	made := joined(t)
	made.answers(t, [2]string{"tcp4", ":8080"}, [2]string{"tcp4", ":8081"}, [2]string{"udp", ":8053"})
	if answer, err := made.call("tcp4", "100.64.0.2:8080"); err != nil || answer != "100.64.0.1" {
		t.Fatalf("tcp: %q, %v", answer, err)
	}
	if answer, err := made.call("udp4", "100.64.0.2:8053"); err != nil || answer != "hello" {
		t.Fatalf("udp: %q, %v", answer, err)
	}
	if _, err := made.call("tcp4", "100.64.0.2:8081"); err == nil || !strings.Contains(err.Error(), "refused") {
		t.Fatalf("a port that is not opened: %v", err)
	}
	heard, err := made.devices[0].Heard()
	if err != nil || time.Since(heard["far"]) > time.Minute {
		t.Fatalf("the far side was heard: %v, %v", heard, err)
	}
}

func TestASetKeepsTheSessionAndARemovedPeerIsCutOff(t *testing.T) {
	made := joined(t)
	made.answers(t, [2]string{"tcp4", ":8080"}, [2]string{"tcp4", ":8081"})
	if _, err := made.call("tcp4", "100.64.0.2:8080"); err != nil {
		t.Fatal(err)
	}
	before, _ := made.devices[1].Heard()
	wider := *made.configs[1]
	wider.Opened = append([]Opened{{"tcp", 8081}}, wider.Opened...)
	if err := made.devices[1].Set(&wider); err != nil {
		t.Fatal(err)
	}
	if _, err := made.call("tcp4", "100.64.0.2:8081"); err != nil {
		t.Fatalf("the port that was opened: %v", err)
	}
	if after, _ := made.devices[1].Heard(); after["far"] != before["far"] {
		t.Fatal("the session was begun anew")
	}
	alone := wider
	alone.Peers = nil
	if err := made.devices[1].Set(&alone); err != nil {
		t.Fatal(err)
	}
	failed := inside(made.path(0), func() error {
		_, err := net.DialTimeout("tcp4", "100.64.0.2:8080", time.Second)
		return err
	})
	if failed == nil {
		t.Fatal("a peer that was removed still gets in")
	}
}

func TestNobodySpeaksToTheTunnelsAddressByAnotherWay(t *testing.T) {
	made := joined(t)
	made.answers(t, [2]string{"tcp4", ":8081"})
	// Who calls so keeps no rules of its own.
	shell(t, "ip", "netns", "exec", made.names[0], "nft", "delete", "table", "ip", "tunnel")
	shell(t, "ip", "-n", made.names[0], "route", "add", "100.64.0.2/32", "via", made.outside(1).String(),
		"src", made.outside(0).String())
	failed := inside(made.path(0), func() error {
		_, err := net.DialTimeout("tcp4", "100.64.0.2:8081", time.Second)
		return err
	})
	if failed == nil {
		t.Fatal("a port that is not opened was called at the tunnel's address, past the tunnel")
	}
}

func TestNothingIsPassedOnForAPeer(t *testing.T) {
	made := joined(t)
	made.answers(t, [2]string{"tcp4", ":8080"})
	far := made.names[1]
	shell(t, "ip", "netns", "exec", far, "sysctl", "-qw", "net.ipv4.ip_forward=1")
	shell(t, "ip", "-n", far, "link", "add", "beyond", "type", "veth", "peer", "beyond2")
	for _, link := range []string{"beyond2", "beyond"} {
		shell(t, "ip", "-n", far, "link", "set", link, "arp", "off", "up")
	}
	seen := "table ip seen {\n chain out {\n type filter hook postrouting priority 0\n oifname \"beyond\" counter\n }\n}\n"
	if err := inside(made.path(1), func() error { return run(seen, "nft", "-f", "-") }); err != nil {
		t.Fatal(err)
	}
	shell(t, "ip", "-n", far, "route", "add", "10.99.0.0/24", "dev", "beyond")
	// A peer that is not as it should be says itself what it sends into the tunnel.
	peer := "public_key=" + digits(made.configs[0].Peers[0].Key) + "\nallowed_ip=10.99.0.0/24\n"
	if err := made.devices[0].inner.IpcSet(peer); err != nil {
		t.Fatal(err)
	}
	shell(t, "ip", "-n", made.names[0], "route", "add", "10.99.0.0/24", "dev", Link, "src", "100.64.0.1")
	err := inside(made.path(0), func() error {
		socket, err := net.Dial("udp4", "10.99.0.9:53")
		if err == nil {
			_, err = socket.Write([]byte("hello"))
			socket.Close()
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	// What comes after it in the same tunnel came through, so it was there too.
	if _, err := made.call("tcp4", "100.64.0.2:8080"); err != nil {
		t.Fatal(err)
	}
	output, err := exec.Command("ip", "netns", "exec", far, "nft", "list", "table", "ip", "seen").Output()
	if err != nil || !strings.Contains(string(output), "packets 0 ") {
		t.Fatalf("passed on: %v %s", err, output)
	}
}

func TestNothingOfWhatPassesStandsOnTheWire(t *testing.T) {
	made := joined(t)
	made.answers(t, [2]string{"udp", ":8053"})
	capture, err := listenRaw(made.path(1))
	if err != nil {
		t.Fatal(err)
	}
	if answer, err := made.call("udp4", "100.64.0.2:8053"); err != nil || answer != "hello" {
		t.Fatalf("%q, %v", answer, err)
	}
	encrypted, plain := capture(t)
	if encrypted == 0 || plain != 0 {
		t.Fatalf("%d packets of the tunnel's port, %d with what was said", encrypted, plain)
	}
}
