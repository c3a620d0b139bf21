// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

const (
	one   = "11111111-2222-3333-4444-555555555555"
	other = "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee"
)

func write(t *testing.T, text string, path ...string) {
	t.Helper()
	file := filepath.Join(path...)
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// paper is a mount of version 1 made of plain files: what is written is the state at once.
func paper(t *testing.T) string {
	mount := t.TempDir()
	for _, place := range []string{
		"node/kubepods/burstable/pod" + one,
		"node/kubepods.slice/kubepods-pod" + strings.ReplaceAll(other, "-", "_") + ".slice",
	} {
		write(t, "THAWED\n", mount, "freezer", place, "freezer.state")
		write(t, "THAWED\n", mount, "freezer", place, "container", "freezer.state")
		write(t, "4096\n", mount, "memory", place, "memory.usage_in_bytes")
	}
	return mount
}

func state(t *testing.T, mount string) string {
	t.Helper()
	data, err := os.ReadFile(filepath.Join(mount, "freezer/node/kubepods/burstable/pod"+one, "freezer.state"))
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func all(string) bool { return true }

func TestAPodStaysFrozenForAsLongAsItIsAskedFor(t *testing.T) {
	mount, now := paper(t), time.Now()
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	told := leases.Freeze([]string{one, "99999999-2222-3333-4444-555555555555"}, 10*time.Second, now)
	if len(told) != 1 || told[one] != (Pod{true, 4096, false}) || state(t, mount) != "FROZEN" {
		t.Fatal(told, state(t, mount))
	}
	leases.Freeze([]string{one}, 10*time.Second, now.Add(9*time.Second))
	leases.Lapse(now.Add(18 * time.Second))
	if state(t, mount) != "FROZEN" {
		t.Fatal("let go too soon")
	}
	leases.Lapse(now.Add(20 * time.Second))
	if state(t, mount) != "THAWED" || len(leases.until) != 0 {
		t.Fatal("not let go")
	}
	leases.Freeze([]string{other}, time.Hour, now)
	leases.Lapse(now.Add(MaxLease))
	if told := leases.Size([]string{other}); told[other].Frozen {
		t.Fatal("a lease longer than the longest")
	}
}

func TestWhatEndsIsThawedAndNeverFrozen(t *testing.T) {
	mount, ends := paper(t), false
	leases, err := New(Open(mount, "/node"), func(string) bool { return !ends })
	if err != nil {
		t.Fatal(err)
	}
	leases.Freeze([]string{one}, time.Minute, time.Now())
	ends = true
	leases.Ends(one)
	if state(t, mount) != "THAWED" {
		t.Fatal("it cannot end")
	}
	if told := leases.Freeze([]string{one}, time.Minute, time.Now()); len(told) != 0 || state(t, mount) != "THAWED" {
		t.Fatal("frozen at its end", told)
	}
	ends = false
	leases.Freeze([]string{one}, time.Minute, time.Now())
	ends = true
	leases.Lapse(time.Now())
	if state(t, mount) != "THAWED" {
		t.Fatal("a look does not let it end")
	}
}

func TestAnAgentsStartAndThawContinueWhatIsFrozen(t *testing.T) {
	mount := paper(t)
	for range 2 {
		leases, err := New(Open(mount, "/node"), all)
		if err != nil || state(t, mount) != "THAWED" {
			t.Fatal(err, state(t, mount))
		}
		leases.Freeze([]string{one}, time.Minute, time.Now())
	}
	elsewhere, err := New(Open(mount, "/another-node"), all)
	if err != nil || state(t, mount) != "FROZEN" {
		t.Fatal("a group of another node", err)
	}
	if told := elsewhere.Thaw([]string{one}); len(told) != 0 {
		t.Fatal(told)
	}
	leases := &Leases{groups: Open(mount, "/node"), may: all, until: map[string]time.Time{}, raised: map[string]time.Time{}}
	if told := leases.Thaw([]string{one}); told[one] != (Pod{false, 4096, false}) || state(t, mount) != "THAWED" {
		t.Fatal(told)
	}
}

// Who may make groups of their own elsewhere could name one as another's pod.
func TestAGroupBesideTheKubeletsIsNoPods(t *testing.T) {
	mount := paper(t)
	for _, place := range []string{"node/zz.slice/pod" + one, "node/kubepods.slice/xpod" + one, "node/a/kubepods/pod" + one} {
		write(t, "THAWED\n", mount, "freezer", place, "freezer.state")
	}
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	if told := leases.Freeze([]string{one}, time.Minute, time.Now()); told[one] != (Pod{true, 4096, false}) || state(t, mount) != "FROZEN" {
		t.Fatal(told, state(t, mount))
	}
}

func TestALeaseIsNotForgottenWhileGroupsCannotBeRead(t *testing.T) {
	mount, now := paper(t), time.Now()
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	leases.Freeze([]string{one}, time.Second, now)
	readable := leases.groups
	write(t, "", mount, "a file")
	leases.groups = &Groups{state: filepath.Join(mount, "a file")}
	leases.Lapse(now.Add(time.Minute))
	leases.Ends(one)
	leases.groups = readable
	leases.Lapse(now.Add(time.Minute))
	if state(t, mount) != "THAWED" || len(leases.until) != 0 {
		t.Fatal("it stays frozen")
	}
}

func TestQuestions(t *testing.T) {
	mount := paper(t)
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	for text, frozen := range map[string]bool{"freeze": true, "size": true, "thaw": false} {
		leases.Freeze([]string{one}, time.Minute, time.Now())
		var to bytes.Buffer
		if err := leases.Answer(strings.NewReader(`{"verb":"`+text+`","seconds":15,"pods":["`+one+`"]}`), &to); err != nil {
			t.Fatal(err)
		}
		var told answer
		if err := json.Unmarshal(to.Bytes(), &told); err != nil || told.Pods[one].Frozen != frozen || told.Memory.Total == 0 {
			t.Fatal(text, to.String(), err)
		}
	}
	for _, wrong := range []string{``, `[]`, `{"verb":"kill"}`, `{"verb":"thaw","pods":["../../x"]}`} {
		if err := leases.Answer(strings.NewReader(wrong), &bytes.Buffer{}); err == nil {
			t.Fatal(wrong)
		}
	}
}

func TestMemory(t *testing.T) {
	found := parseMemory("MemTotal:        2 kB\nMemFree: 9 kB\nMemAvailable:  1 kB\n")
	if found != (memory{2048, 1024}) {
		t.Fatal(found)
	}
}

// A process of this machine, in groups of its own: only root can make them.
func TestARealProcessStops(t *testing.T) {
	mounts := map[string]string{"/sys/fs/cgroup": "/sys/fs/cgroup/freezer"}
	for _, second := range []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"} {
		if _, err := os.Stat(filepath.Join(second, "cgroup.controllers")); err == nil {
			mounts[second] = second
		}
	}
	tried := 0
	for mount, folder := range mounts {
		root := "tp-frozen-" + filepath.Base(t.TempDir()) + "-" + time.Now().Format("150405.000000")
		pod := filepath.Join(folder, root, "kubepods", "pod"+one)
		if os.MkdirAll(pod, 0o755) != nil {
			continue
		}
		tried++
		process := exec.Command("sleep", "60")
		if err := process.Start(); err != nil {
			t.Fatal(err)
		}
		groups := Open(mount, root)
		t.Cleanup(func() { // a frozen process would not end, nor its groups
			_ = groups.set("kubepods/pod"+one, false)
			_ = process.Process.Kill()
			_ = process.Wait()
			for group := pod; group != folder; group = filepath.Dir(group) {
				_ = os.Remove(group)
			}
		})
		write(t, strconv.Itoa(process.Process.Pid), pod, "cgroup.procs")
		leases, err := New(groups, all)
		if err != nil {
			t.Fatal(err)
		}
		leases.Freeze([]string{one}, time.Minute, time.Now())
		if stopped, settled, err := leases.groups.stopped("kubepods/pod" + one); !stopped || !settled || err != nil {
			t.Fatal(mount, stopped, settled, err)
		}
		if err := leases.ThawAll(); err != nil {
			t.Fatal(err)
		}
	}
	if tried == 0 {
		t.Skip("no control groups can be made here")
	}
}
