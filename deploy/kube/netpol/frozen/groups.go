// SPDX-License-Identifier: Apache-2.0

// Package frozen stops and continues pods of this node by the kernel's control groups, for as long as
// somebody asks for it again and again.
package frozen

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	// changes bounds how long the kernel takes to stop all processes of a pod; it takes some milliseconds.
	changes = 2 * time.Second
	pause   = 500 * time.Microsecond
)

var uidForm = regexp.MustCompile(`^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`)

// podGroup are the names that the kubelet gives a pod's group, by its two drivers.
var podGroup = regexp.MustCompile(`^(?:.+-)?pod([0-9a-f]{8}([-_][0-9a-f]{4}){3}[-_][0-9a-f]{12})(\.slice)?$`)

// allPods are the names of the group in which the kubelet has those of all pods. Nothing beside it is looked at:
// who may make groups elsewhere, or has a kubelet of their own, could name one as a pod's.
var allPods = regexp.MustCompile(`^(?:.+-)?kubepods(\.slice)?$`)

// Groups are the control groups of the kubelet's pods, version 1 or 2.
type Groups struct {
	state  string // below it stand the pods' groups that are stopped
	memory string
	cpu    string
	second bool
	proc   string // where the kernel shows processes
}

// Open finds the groups below a mount as /sys/fs/cgroup; *root* is the kubelet's own, "/" mostly.
func Open(mount, root string) *Groups {
	first := filepath.Join(mount, "freezer")
	if _, err := os.Stat(first); err == nil {
		memory, cpu := filepath.Join(mount, "memory", root), filepath.Join(mount, "cpu", root)
		return &Groups{filepath.Join(first, root), memory, cpu, false, "/proc"}
	}
	here := filepath.Join(mount, root)
	return &Groups{here, here, here, true, "/proc"}
}

// pods are the groups of all pods, by their uids, as paths below the state's and the memory's folders.
func (g *Groups) pods() (map[string]string, error) {
	found := map[string]string{}
	beside, err := os.ReadDir(g.state)
	if gone(err) {
		return found, nil
	}
	for _, entry := range beside {
		if entry.IsDir() && allPods.MatchString(entry.Name()) {
			err = errors.Join(err, g.below(filepath.Join(g.state, entry.Name()), found))
		}
	}
	return found, err
}

func (g *Groups) below(kubelets string, found map[string]string) error {
	return filepath.WalkDir(kubelets, func(path string, entry fs.DirEntry, err error) error {
		if gone(err) {
			return nil // a pod's end
		}
		if err != nil || !entry.IsDir() {
			return err
		}
		match := podGroup.FindStringSubmatch(entry.Name())
		if match == nil {
			return nil
		}
		below, err := filepath.Rel(g.state, path)
		found[strings.ReplaceAll(match[1], "_", "-")] = below
		if err != nil {
			return err
		}
		return fs.SkipDir
	})
}

// gone says whether a group ended, before or while it was looked at.
func gone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENODEV)
}

// set stops or continues a group, and returns when the kernel has done it. A group that is gone runs nothing.
func (g *Groups) set(group string, stop bool) error {
	file, word := "freezer.state", map[bool]string{true: "FROZEN", false: "THAWED"}[stop]
	if g.second {
		file, word = "cgroup.freeze", map[bool]string{true: "1", false: "0"}[stop]
	}
	if err := os.WriteFile(filepath.Join(g.state, group, file), []byte(word), 0o600); err != nil {
		if gone(err) && !stop {
			return nil
		}
		return err
	}
	for limit := time.Now().Add(changes); ; time.Sleep(pause) {
		stopped, settled, err := g.stopped(group)
		if gone(err) && !stop {
			return nil
		}
		if err != nil || (settled && stopped == stop) {
			return err
		}
		if time.Now().After(limit) {
			return fmt.Errorf("not %s within %s", word, changes)
		}
	}
}

// stopped says whether a group is stopped, or is to be, and whether that is done.
func (g *Groups) stopped(group string) (stopped, settled bool, err error) {
	if !g.second {
		state, err := os.ReadFile(filepath.Join(g.state, group, "freezer.state"))
		word := strings.TrimSpace(string(state))
		return word != "THAWED", word != "FREEZING", err
	}
	asked, err := os.ReadFile(filepath.Join(g.state, group, "cgroup.freeze"))
	if err != nil {
		return false, false, err
	}
	events, err := os.ReadFile(filepath.Join(g.state, group, "cgroup.events"))
	stopped = strings.TrimSpace(string(asked)) == "1"
	return stopped, strings.Contains(string(events), "frozen 1") == stopped, err
}

// held is the memory of a group in bytes.
func (g *Groups) held(group string) (uint64, error) {
	file := "memory.usage_in_bytes"
	if g.second {
		file = "memory.current"
	}
	data, err := os.ReadFile(filepath.Join(g.memory, group, file))
	if err != nil {
		return 0, err
	}
	return strconv.ParseUint(strings.TrimSpace(string(data)), 10, 64)
}
