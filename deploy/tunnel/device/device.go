// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
	"golang.zx2c4.com/wireguard/conn"
	wireguard "golang.zx2c4.com/wireguard/device"
	"golang.zx2c4.com/wireguard/tun"
)

// overhead is what WireGuard adds to a packet, over IPv6 as it may be one day: 40 + 8 + 32 bytes.
const overhead = 80

// Device is a tunnel that stands.
type Device struct {
	namespace string
	inner     *wireguard.Device
	config    *Config // what was set last
	text      string  // and how, from nothing
}

// Open makes the tunnel of a node in its network namespace, a path as CNI has it.
func Open(namespace string, config *Config) (*Device, error) {
	made := &Device{namespace: namespace}
	err := inside(namespace, func() error {
		mtu, err := linkMTU()
		if err != nil {
			return err
		}
		link, err := tun.CreateTUN(Link, mtu-overhead)
		if err != nil {
			return err
		}
		quiet := &wireguard.Logger{Verbosef: wireguard.DiscardLogf, Errorf: wireguard.DiscardLogf}
		made.inner = wireguard.NewDevice(link, &bindInside{conn.NewStdNetBind(), namespace}, quiet)
		// Who calls is let in at an address that stays; who answers from another place is not followed,
		// because no policy would let packets out to it.
		made.inner.DisableSomeRoamingForBrokenMobileSemantics()
		return nil
	})
	if err == nil {
		err = made.Set(config)
	}
	if err == nil {
		err = inside(namespace, func() error { return made.up(config) })
	}
	if err != nil && made.inner != nil {
		made.Close()
	}
	return made, err
}

// up gives the link its address, and leads all tunnels' addresses into it: what is no peer's goes nowhere.
func (d *Device) up(config *Config) error {
	if err := d.inner.Up(); err != nil {
		return err
	}
	for _, words := range [][]string{
		{"address", "add", config.Address.String() + "/32", "dev", Link},
		{"link", "set", Link, "up"},
		{"route", "add", Range.String(), "dev", Link},
	} {
		if err := run("", "ip", words...); err != nil {
			return err
		}
	}
	return nil
}

// Set makes the tunnel as *config* says; what stays the same keeps its sessions.
func (d *Device) Set(config *Config) error {
	text := config.Text(nil) + config.Filter()
	if text == d.text {
		return nil
	}
	// First: nothing comes in before it holds.
	if err := inside(d.namespace, func() error { return run(config.Filter(), "nft", "-f", "-") }); err != nil {
		return err
	}
	if err := d.inner.IpcSet(config.Text(d.config)); err != nil {
		return err
	}
	d.config, d.text = config, text
	return nil
}

// Fits says whether this device can become what *config* says: its address, key and port stay.
func (d *Device) Fits(config *Config) bool {
	before := d.config
	return before.Address == config.Address && before.Port == config.Port && before.Key == config.Key
}

// Heard is when each peer last proved that it is there, by the node's name; zero for never.
func (d *Device) Heard() (map[string]time.Time, error) {
	text, err := d.inner.IpcGet()
	if err != nil {
		return nil, err
	}
	at, found := handshakes(text), map[string]time.Time{}
	for _, peer := range d.config.Peers {
		found[peer.Node] = at[digits(peer.Key)]
	}
	return found, nil
}

func handshakes(text string) map[string]time.Time {
	found, key := map[string]time.Time{}, ""
	for _, line := range strings.Split(text, "\n") {
		name, value, _ := strings.Cut(line, "=")
		switch name {
		case "public_key":
			key = value
			found[key] = time.Time{}
		case "last_handshake_time_sec":
			if at, err := strconv.ParseInt(value, 10, 64); err == nil && at > 0 {
				found[key] = time.Unix(at, 0)
			}
		}
	}
	return found
}

// Close takes the link away.
func (d *Device) Close() {
	d.inner.Close()
}

// bindInside opens the device's sockets in the node's namespace, whoever asks for them: WireGuard's own
// goroutines do so too when the link goes up.
type bindInside struct {
	conn.Bind
	namespace string
}

func (b *bindInside) Open(port uint16) (receive []conn.ReceiveFunc, actual uint16, err error) {
	failed := inside(b.namespace, func() error {
		receive, actual, err = b.Bind.Open(port)
		return err
	})
	return receive, actual, failed
}

// inside does something in a network namespace, on a thread that is thrown away after it.
func inside(namespace string, do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends with this goroutine
		done <- func() error {
			file, err := os.Open(namespace)
			if err != nil {
				return err
			}
			defer file.Close()
			if err := unix.Setns(int(file.Fd()), unix.CLONE_NEWNET); err != nil {
				return fmt.Errorf("%s: %w", namespace, err)
			}
			return do()
		}()
	}()
	return <-done
}

// linkMTU is that of the namespace's only link to others, 1500 where there is none.
func linkMTU() (int, error) {
	links, err := net.Interfaces()
	if err != nil {
		return 0, err
	}
	least := 1500
	for _, one := range links {
		if one.Flags&net.FlagLoopback == 0 && one.Name != Link && one.Flags&net.FlagUp != 0 {
			least = min(least, one.MTU)
		}
	}
	return least, nil
}

func run(input, name string, words ...string) error {
	command := exec.Command(name, words...)
	command.Stdin = strings.NewReader(input)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w: %.300s", name, strings.Join(words, " "), err, bytes.TrimSpace(output))
	}
	return nil
}
