// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

const place = "node/kubepods/burstable/pod" + one

// withCPU adds to the paper mount what CPU a pod and its one container have.
func withCPU(t *testing.T) (mount, pod, container string) {
	mount = paper(t)
	pod = filepath.Join(mount, "cpu", place)
	container = filepath.Join(pod, "container")
	setCPU(t, "50000", "512", pod, container)
	if err := syscall.Setxattr(pod, cpuRecord+".try", []byte("1"), 0); err != nil {
		t.Skip("files of this folder have no attributes: ", err)
	}
	return mount, pod, container
}

func setCPU(t *testing.T, quota, weight string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		write(t, quota+"\n", folder, "cpu.cfs_quota_us")
		write(t, weight+"\n", folder, "cpu.shares")
	}
}

func hasCPU(t *testing.T, quota, weight string, folders ...string) {
	t.Helper()
	for _, folder := range folders {
		for file, wanted := range map[string]string{"cpu.cfs_quota_us": quota, "cpu.shares": weight} {
			data, err := os.ReadFile(filepath.Join(folder, file))
			if err != nil || strings.TrimSpace(string(data)) != wanted {
				t.Fatalf("%s of %s: %q, not %s (%v)", file, folder, data, wanted, err)
			}
		}
	}
}

func TestAThawGivesBackTheCPUThatWasTakenMeanwhile(t *testing.T) {
	mount, pod, container := withCPU(t)
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	if told := leases.Freeze([]string{one}, time.Minute, time.Now()); !told[one].Restores {
		t.Fatal(told)
	}
	setCPU(t, "1000", "2", container, pod)
	leases.Freeze([]string{one}, time.Minute, time.Now()) // a renewal remembers nothing new
	leases.Thaw([]string{one})
	hasCPU(t, "50000", "512", pod, container)

	setCPU(t, "1000", "2", container, pod) // the kubelet is late
	leases.Raise(time.Now())
	hasCPU(t, "50000", "512", pod, container)
	later := time.Now().Add(2 * keepRaised)
	leases.Raise(later)
	setCPU(t, "1000", "2", container, pod)
	leases.Raise(later.Add(seldom / 2))
	hasCPU(t, "1000", "2", pod, container)
	again := filepath.Join(pod, "started-again") // with the CPU of its sleep, as others have its room
	setCPU(t, "1000", "2", again)
	leases.Raise(later.Add(seldom))
	hasCPU(t, "50000", "512", pod, container, again)

	leases.Freeze([]string{one}, time.Minute, time.Now()) // the way back was never done: it had more once
	leases.Lapse(time.Now().Add(MaxLease))
	hasCPU(t, "50000", "512", pod, container)
}

func TestAnotherAgentGivesBackWhatTheOneBeforeKnew(t *testing.T) {
	mount, pod, container := withCPU(t)
	for _, stopped := range []bool{true, false} {
		leases, err := New(Open(mount, "/node"), all)
		if err != nil {
			t.Fatal(err)
		}
		leases.Freeze([]string{one}, time.Minute, time.Now())
		if !stopped {
			leases.Thaw([]string{one})
		}
		setCPU(t, "1000", "2", container, pod)
		later := filepath.Join(pod, "started-later")
		setCPU(t, "1000", "2", later)
		if _, err := New(Open(mount, "/node"), all); err != nil || state(t, mount) != "THAWED" {
			t.Fatal(err)
		}
		hasCPU(t, "50000", "512", pod, container, later)
	}
}

// The node started anew: groups are new, and the kubelet makes them with the CPU of sleep while others have the room.
func TestAPodThatRunsInNewGroupsHasWhatTheAPIServerSays(t *testing.T) {
	mount, pod, container := withCPU(t)
	setCPU(t, "100", "2", pod, container)
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	leases.Awake = func(string) uint64 { return 0 }
	now := time.Now()
	leases.Raise(now)
	hasCPU(t, "100", "2", pod, container)
	leases.Awake = func(string) uint64 { return 500 }
	leases.Raise(now.Add(seldom / 2))
	hasCPU(t, "100", "2", pod, container)
	for range 2 {
		now = now.Add(seldom)
		leases.Raise(now)
		hasCPU(t, "50000", "512", pod, container)
		setCPU(t, "100", "2", pod, container)
	}
	leases.Freeze([]string{one}, time.Minute, now) // what is frozen keeps what it lent
	leases.Raise(now.Add(seldom))
	hasCPU(t, "100", "2", pod, container)
}

func TestMoreIsNeverMadeLess(t *testing.T) {
	mount, pod, container := withCPU(t)
	setCPU(t, "-1", "2", container)
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	leases.Freeze([]string{one}, time.Minute, time.Now())
	setCPU(t, "90000", "900", container)
	setCPU(t, "90000", "100", pod)
	leases.Thaw([]string{one})
	hasCPU(t, "-1", "900", container)
	hasCPU(t, "90000", "512", pod)
}

func TestCPUOfVersionTwo(t *testing.T) {
	folder := t.TempDir()
	groups := &Groups{cpu: folder, second: true}
	write(t, "10000 100000\n", folder, "cpu.max")
	write(t, "4\n", folder, "cpu.weight")
	if found, err := groups.readCPU(folder); err != nil || found != (cpu{10000, 4}) {
		t.Fatal(found, err)
	}
	if err := groups.raise(folder, cpu{unbounded, 20}); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(filepath.Join(folder, "cpu.max"))
	if found, err := parseCPU("nonsense"); err == nil || string(data) != "max" {
		t.Fatal(found, string(data))
	}
	write(t, "max 100000\n", folder, "cpu.max")
	if found, err := groups.readCPU(folder); err != nil || found != (cpu{unbounded, 20}) {
		t.Fatal(found, err)
	}
}

// Groups of this machine's kernel: only root can make them.
func TestRealGroupsRememberAndRestore(t *testing.T) {
	mount := "/sys/fs/cgroup"
	root := "tp-cpu-" + filepath.Base(t.TempDir()) + "-" + time.Now().Format("150405.000000")
	groups := Open(mount, root)
	group := "kubepods/pod" + one
	container := filepath.Join(groups.cpu, group, "container")
	if os.MkdirAll(container, 0o755) != nil {
		t.Skip("no control groups can be made here")
	}
	t.Cleanup(func() {
		for folder := container; folder != filepath.Dir(groups.cpu); folder = filepath.Dir(folder) {
			_ = os.Remove(folder)
		}
	})
	quota, _ := groups.cpuFiles()
	pod := filepath.Dir(container)
	if _, err := os.Stat(filepath.Join(pod, quota)); err != nil {
		t.Skip("no CPU controller here")
	}
	set := func(value string, folders ...string) {
		for _, folder := range folders {
			write(t, value, folder, quota)
		}
	}
	set("20000", pod, container)
	if err := groups.remember(group); err != nil {
		t.Fatal(err)
	}
	set("1000", container, pod)
	if err := groups.restore(group); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{pod, container} {
		if now, err := groups.readCPU(folder); err != nil || now.quota != 20000 {
			t.Fatal(folder, now, err)
		}
	}
}
