// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// maxListeners bounds what is told of one pod: it is for a person to read.
const maxListeners = 32

// maxTable bounds what is read of a table, which grows with every connection that a pod has: a pod must not
// cost the agent its memory. The kernel lists who listens before all connections (tcp_seq_start).
const maxTable = 1 << 20

// listening is the state of a socket in the kernel's tables (include/net/tcp_states.h, TCP_LISTEN).
const listening = "0A"

// Listening tells where programs of pods of this node take TCP connections; of pods whose processes cannot be
// seen from here nothing.
func (l *Leases) Listening(uids []string) map[string][]netip.AddrPort {
	found, _ := l.find()
	told := map[string][]netip.AddrPort{}
	for _, uid := range uids {
		group, here := found[uid]
		if !here {
			continue
		}
		if ports, err := l.groups.listeners(group); err == nil {
			told[uid] = ports
		}
	}
	return told
}

// listeners reads the tables of the network that all containers of a pod share, by any process of it.
func (g *Groups) listeners(group string) ([]netip.AddrPort, error) {
	pids, err := g.processes(group)
	if err != nil {
		return nil, err
	}
	for _, pid := range pids {
		var ports []netip.AddrPort
		first, err := readTable(filepath.Join(g.proc, pid, "net/tcp"))
		if err != nil {
			continue // it ended
		}
		second, _ := readTable(filepath.Join(g.proc, pid, "net/tcp6")) // a kernel may have none
		for _, table := range []string{first, second} {
			ports = append(ports, parseListeners(table)...)
		}
		slices.SortFunc(ports, netip.AddrPort.Compare)
		ports = slices.Compact(ports)
		return ports[:min(len(ports), maxListeners)], nil
	}
	return nil, fmt.Errorf("no process of %s is seen", group)
}

// readTable reads the beginning of a table, in whole lines.
func readTable(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer file.Close()
	data, err := io.ReadAll(io.LimitReader(file, maxTable))
	if len(data) == maxTable {
		data = data[:bytes.LastIndexByte(data, '\n')+1]
	}
	return string(data), err
}

// processes are those of a pod's containers, as this process names them; 0 stands for one that it does not see.
func (g *Groups) processes(group string) ([]string, error) {
	var found []string
	err := filepath.WalkDir(filepath.Join(g.state, group), func(path string, entry fs.DirEntry, err error) error {
		if gone(err) {
			return nil
		}
		if err != nil || entry.Name() != "cgroup.procs" {
			return err
		}
		data, err := os.ReadFile(path)
		for _, pid := range strings.Fields(string(data)) {
			if number, bad := strconv.ParseUint(pid, 10, 32); bad == nil && number != 0 {
				found = append(found, pid)
			}
		}
		if gone(err) {
			return nil
		}
		return err
	})
	return found, err
}

// parseListeners reads a table as /proc/net/tcp: "sl local_address rem_address st ...", addresses as words of
// four bytes in the machine's order, ports in hexadecimal.
func parseListeners(table string) []netip.AddrPort {
	var found []netip.AddrPort
	for _, line := range strings.Split(table, "\n") {
		fields := strings.Fields(line)
		if len(fields) < 4 || fields[3] != listening {
			continue
		}
		text, port, _ := strings.Cut(fields[1], ":")
		number, err := strconv.ParseUint(port, 16, 16)
		raw, bad := hex.DecodeString(text)
		if err != nil || bad != nil || len(raw)%4 != 0 {
			continue
		}
		for at := 0; at < len(raw); at += 4 {
			slices.Reverse(raw[at : at+4])
		}
		if address, whole := netip.AddrFromSlice(raw); whole {
			found = append(found, netip.AddrPortFrom(address.Unmap(), uint16(number)))
		}
	}
	return found
}
