// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"trustedpods.dev/kube/netpol/traffic"
)

const (
	talkLimit = 10 * time.Second
	// maxCall bounds what a caller may say; names and an address are some hundred bytes.
	maxCall = 4096
)

// call is what the CNI plugin says.
type call struct {
	Verb      string `json:"verb"`
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Address   string `json:"address"`
	NetNS     string `json:"netns"`
}

// total is one pod as the provider's daemon reads it (provider/cluster/pod_counters.py).
type total struct {
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Ingress   uint64 `json:"ingressBytes"`
	Egress    uint64 `json:"egressBytes"`
	// Refused by limits of what pods send, since the pod has them; in no bytes.
	Refused uint64 `json:"refusedPackets"`
}

// listen serves a unix socket that only the agent's own user may open.
func (a *agent) listen(path string, talk func(net.Conn)) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				log.Fatalf("%s: %v", path, err) // the supervisor starts us again
			}
			go func() {
				defer connection.Close()
				if err := connection.SetDeadline(time.Now().Add(talkLimit)); err == nil {
					talk(connection)
				}
			}()
		}
	}()
	return nil
}

// plugin answers the CNI plugin: `ok` when the kernel has the pod's policies.
func (a *agent) plugin(connection net.Conn) {
	var said call
	if err := json.NewDecoder(io.LimitReader(connection, maxCall)).Decode(&said); err != nil {
		return // also a look whether somebody listens
	}
	answer := "ok"
	if err := a.heard(said); err != nil {
		log.Printf("%s %s/%s: %v", said.Verb, said.Namespace, said.Pod, err)
		answer = err.Error()
	}
	fmt.Fprintln(connection, answer)
}

func (a *agent) heard(said call) error {
	if said.Verb == "del" {
		return a.question(func(now time.Time) error {
			a.ledger.End(said.Container, now)
			return nil
		})
	}
	address, err := netip.ParseAddr(said.Address)
	if err != nil || !a.network.Contains(address) {
		return fmt.Errorf("not an address of this node's pods: %q", said.Address)
	}
	pod, err := a.seen.find(said.Namespace, said.Pod, said.UID)
	if err != nil {
		return err
	}
	return a.question(func(now time.Time) error {
		uid := string(pod.UID)
		a.fetched[uid] = pod
		a.ledger.Start(uid, pod.Namespace, pod.Name, said.Container, address, now)
		a.ledger.Pods[uid].NetNS = said.NetNS
		return nil
	})
}

// told is what the provider's daemon reads. Policies is the newest version of any policy that the kernel
// follows: it is read before the kernel is brought up to date, and told after.
type told struct {
	Pods     []total `json:"pods"`
	Policies uint64  `json:"policies"`
}

// counters tells all totals and the policies' version, once, and closes.
func (a *agent) counters(connection net.Conn) {
	var found told
	err := a.question(func(time.Time) (err error) {
		found.Policies = a.seen.newestPolicy()
		found.Pods, err = a.totals()
		return err
	})
	if err != nil {
		log.Printf("counters: %v", err)
		return
	}
	_ = json.NewEncoder(connection).Encode(found)
}

// load reads what was stored; without a file there is nothing to remember.
func load(path string) (*traffic.Ledger, error) {
	ledger := traffic.New()
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return ledger, nil
	}
	if err == nil {
		err = json.Unmarshal(data, ledger)
	}
	return ledger, err
}

// store writes the ledger if it changed: to a file beside it, then in its place.
func (a *agent) store() error {
	data, err := json.Marshal(a.ledger)
	if err != nil || bytes.Equal(data, a.stored) {
		return err
	}
	if err := replace(a.state, data); err != nil {
		return err
	}
	a.stored = data
	return nil
}

// replace writes a file whole: to one beside it, then in its place.
func replace(path string, data []byte) error {
	beside := filepath.Join(filepath.Dir(path), ".new-"+filepath.Base(path))
	if err := os.WriteFile(beside, data, 0o600); err != nil {
		return err
	}
	return os.Rename(beside, path)
}

// nft applies a script as one transaction.
func nft(script string) error {
	command := exec.Command("nft", "-f", "-")
	command.Stdin = strings.NewReader(script)
	if output, err := command.CombinedOutput(); err != nil {
		return fmt.Errorf("nft: %w: %.500s", err, bytes.TrimSpace(output))
	}
	return nil
}

// list is a table as JSON.
func list(table string) ([]byte, error) {
	output, err := exec.Command("nft", "-j", "list", "table", "ip", table).Output()
	if err != nil {
		return nil, fmt.Errorf("nft list table %s: %w", table, err)
	}
	return output, nil
}
