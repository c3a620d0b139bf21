// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"strings"
	"time"
)

// maxQuestion bounds what is read: some forty bytes for each of a node's pods.
const maxQuestion = 1 << 20

// question is what the provider's daemon asks (provider/cluster/freezer/door.py).
type question struct {
	Verb    string   `json:"verb"`
	Pods    []string `json:"pods"`
	Seconds uint64   `json:"seconds"`
}

// memory is the node's, in bytes.
type memory struct {
	Total     uint64 `json:"total"`
	Available uint64 `json:"available"`
}

type answer struct {
	Pods    map[string]Pod              `json:"pods"`
	Listens map[string][]netip.AddrPort `json:"listens,omitempty"` // "0.0.0.0:80", "[::]:80"
	Memory  memory                      `json:"memory"`
	Paging  string                      `json:"paging"` // "off", "on", or why not
}

// Answer does what is asked in one line of JSON, and tells how it is then.
func (l *Leases) Answer(from io.Reader, to io.Writer) error {
	var asked question
	if err := json.NewDecoder(io.LimitReader(from, maxQuestion)).Decode(&asked); err != nil {
		return err
	}
	for _, uid := range asked.Pods {
		if !uidForm.MatchString(uid) {
			return fmt.Errorf("not a pod's uid: %.80q", uid)
		}
	}
	var told answer
	switch asked.Verb {
	case "freeze":
		lease := time.Duration(min(asked.Seconds, uint64(MaxLease/time.Second))) * time.Second
		told.Pods = l.Freeze(asked.Pods, lease, time.Now())
	case "thaw":
		told.Pods = l.Thaw(asked.Pods)
	case "size":
		told.Pods = l.Size(asked.Pods)
	case "listening":
		told.Pods, told.Listens = l.Size(asked.Pods), l.Listening(asked.Pods)
	default:
		return fmt.Errorf("no verb of this agent: %.80q", asked.Verb)
	}
	info, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return err
	}
	told.Memory, told.Paging = parseMemory(string(info)), l.Pages.state()
	return json.NewEncoder(to).Encode(told)
}

func parseMemory(info string) memory {
	var found memory
	for _, line := range strings.Split(info, "\n") {
		var kib uint64
		if _, err := fmt.Sscanf(line, "MemTotal: %d kB", &kib); err == nil {
			found.Total = kib << 10
		} else if _, err := fmt.Sscanf(line, "MemAvailable: %d kB", &kib); err == nil {
			found.Available = kib << 10
		}
	}
	return found
}
