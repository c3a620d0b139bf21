// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"time"

	"trustedpods.dev/kube/netpol/rules"
	"trustedpods.dev/kube/netpol/ways"
)

const (
	// maxWanted bounds what is read: some two hundred bytes for each of a facade's ports.
	maxWanted = 1 << 20
	// counting makes the kernel count the bytes of each connection that begins from then on.
	counting = "/proc/sys/net/netfilter/nf_conntrack_acct"
)

// led is what the agent knows of connections that the kernel leads from the facade's ports; nil where nobody said
// which ports those are.
type led struct {
	ports  ways.Ports
	path   string
	book   ways.Book
	kernel ways.Kernel
	stored []byte
	seen   ways.Seen
}

// waysFlags may stand in the environment, as the freezer's.
func waysFlags() (socket, ports *string) {
	socket = flag.String("ways-socket", os.Getenv("NETPOL_WAYS"),
		"where the provider's daemon leads the facade's ports to pods, if anywhere (NETPOL_WAYS)")
	ports = flag.String("ways-ports", os.Getenv("NETPOL_WAYS_PORTS"),
		"the facade's ports of tcp, FIRST-LAST, with -ways-socket (NETPOL_WAYS_PORTS)")
	return socket, ports
}

// openLed reads what an earlier agent remembered: connections that were led then go on. What makes no sense (the
// disk of a machine that lost its power) is no reason for a node without policies: nothing goes on then.
func openLed(ports, state string) (*led, error) {
	found, err := ways.ParsePorts(ports)
	if err != nil {
		return nil, fmt.Errorf("-ways-ports: %w", err)
	}
	opened := &led{ports: found, path: state + ".ways"}
	data, err := os.ReadFile(opened.path)
	if errors.Is(err, fs.ErrNotExist) {
		return opened, nil
	}
	if err != nil {
		return nil, err
	}
	if wrong := json.Unmarshal(data, &opened.book); wrong != nil {
		log.Printf("%s: %v; connections that were led before end", opened.path, wrong)
		opened.book = ways.Book{}
	}
	return opened, nil
}

// countBytes needs the kernel's table of connections, which is there when tables that look at it are.
func countBytes() error {
	if is, err := os.ReadFile(counting); err == nil && strings.TrimSpace(string(is)) == "1" {
		return nil
	}
	if err := os.WriteFile(counting, []byte("1"), 0o600); err != nil {
		return fmt.Errorf("set the sysctl net.netfilter.nf_conntrack_acct to 1: %w", err)
	}
	return nil
}

// ledPods are those that connections may be led to: the provider's, on this node.
func ledPods(world *rules.World) []ways.Pod {
	var found []ways.Pod
	for _, pod := range world.Pods {
		if pod.Local && pod.Labels[podLabel] != "" && pod.Address.Is4() {
			found = append(found, ways.Pod{Label: pod.Labels[podLabel], Address: pod.Address, Ends: pod.Ends})
		}
	}
	return found
}

// lead judges what goes on in this world, and notes it there: what the kernel still needs for it, and holds then.
// What goes on is on disk before connections are led.
func (a *agent) lead(world *rules.World, now time.Time) (string, ways.Kernel, error) {
	if a.led == nil {
		return "", ways.Kernel{}, nil
	}
	ruling := a.led.book.Judge(ledPods(world), now)
	world.Led = ruling.Elements()
	data, err := json.Marshal(a.led.book)
	if err == nil && !slices.Equal(data, a.led.stored) {
		if err = replace(a.led.path, data); err == nil {
			a.led.stored = data
		}
	}
	script, kernel := a.led.kernel.Script(ruling, world.PodNetwork, now)
	return script, kernel, err
}

// waysAsked is what the daemon says (provider/cluster/kernel_ways/door.py).
type waysAsked struct {
	ways.Wanted
	Cut  []ways.Connection `json:"cut"`
	List bool              `json:"list"`
}

type waysTold struct {
	Leading     []uint16    `json:"leading"`
	Loads       []ways.Load `json:"loads"`
	Connections []ways.Aged `json:"connections,omitempty"`
	Wrong       string      `json:"wrong,omitempty"`
}

// answerWays leads what is wanted, and tells what passes there.
func (a *agent) answerWays(connection net.Conn) {
	var asked waysAsked
	if err := json.NewDecoder(io.LimitReader(connection, maxWanted)).Decode(&asked); err != nil {
		return // also a look whether somebody listens
	}
	told, err := a.takeWays(asked)
	if err != nil {
		log.Printf("ways: %v", err)
		told = waysTold{Wrong: err.Error()}
	}
	_ = json.NewEncoder(connection).Encode(told)
}

func (a *agent) takeWays(asked waysAsked) (waysTold, error) {
	told := waysTold{Leading: []uint16{}, Loads: []ways.Load{}}
	if err := asked.Check(a.led.ports); err != nil {
		return told, err
	}
	var reached []ways.Way
	err := a.question(func(now time.Time) error {
		if err := a.led.book.Take(asked.Wanted, now); err != nil {
			return err
		}
		return a.cut(asked.Cut, now)
	})
	if err != nil {
		return told, err
	}
	// A second question: the first one's world was judged after it was done.
	err = a.question(func(now time.Time) error {
		ruling := a.led.kernel.Ruling()
		for _, one := range ruling.Leading {
			told.Leading = append(told.Leading, one.Port)
		}
		reached = ruling.Reached
		return nil
	})
	if err != nil || len(reached) == 0 {
		return told, err
	}
	connections, err := ways.Connections()
	if err != nil {
		return told, err
	}
	loads, open := a.led.seen.Take(connections, reached, time.Now())
	told.Loads = loads
	if asked.List {
		told.Connections = open
	}
	return told, nil
}

// cut ends connections that are there; others are none of ours.
func (a *agent) cut(wanted []ways.Connection, now time.Time) error {
	var script strings.Builder
	for _, one := range a.led.seen.Cut(wanted, now) {
		script.WriteString(ways.Cut(one))
	}
	if script.Len() == 0 {
		return nil
	}
	return nft(script.String())
}
