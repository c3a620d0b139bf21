// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"unsafe"
)

// setting is a file under /proc/sys and what is written there. Where the kernel has no such file (it was built without
// what the file is about), the door is not there.
type setting struct{ name, value string }

// settings are written once, in this order, before anything but this program runs. ptrace_scope is 2 and not 3: with 3
// containerd cannot make a pod's user namespace.
var settings = []setting{
	{"kernel/kexec_load_disabled", "1"},
	{"kernel/sysrq", "0"},
	{"kernel/core_pattern", "|/bin/false"},
	{"kernel/unprivileged_bpf_disabled", "1"},
	{"kernel/dmesg_restrict", "1"},
	{"kernel/kptr_restrict", "2"},
	{"kernel/perf_event_paranoid", "3"},
	{"kernel/yama/ptrace_scope", "2"},
	{"kernel/io_uring_disabled", "2"},
	{"vm/unprivileged_userfaultfd", "0"},
	{"fs/protected_fifos", "2"},
	{"fs/protected_regular", "2"},
	{"fs/suid_dumpable", "0"},
	// all pods and root have one number of these together: so many take a GiB of a pod's own memory
	{"fs/inotify/max_user_instances", "1048576"},
	{"fs/inotify/max_user_watches", "1048576"},
}

func shutDoors() error {
	for _, one := range settings {
		path := "/proc/sys/" + one.name
		err := os.WriteFile(path, []byte(one.value), 0)
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return fmt.Errorf("setting %s: %w", one.name, err)
		}
		if now, err := os.ReadFile(path); err != nil || strings.TrimSpace(string(now)) != one.value {
			return fmt.Errorf("setting %s is %q", one.name, strings.TrimSpace(string(now)))
		}
	}
	return nil
}

// door is a way in that is tried at each boot: `open` is nil where it let us in.
type door struct {
	name string
	open func() error
}

var doors = []door{
	{"memory of the machine", func() error { return readByte("/dev/mem", 1<<20) }},
	{"memory of the kernel", func() error { return readByte("/proc/kcore", 0) }},
	{"ports of the machine", func() error { return readByte("/dev/port", 0x80) }},
	{"another kernel", kexec},
	{"a module", initModule},
	{"writing to the root", func() error { return os.WriteFile("/usr/door", nil, 0o644) }},
	{"making the root writable", func() error { return syscall.Mount("", "/", "", syscall.MS_REMOUNT, "") }},
	{"settings of the host's firmware", func() error { return list("/sys/firmware/qemu_fw_cfg/by_name") }},
	{"names of the host's firmware", func() error { return list("/sys/class/dmi/id") }},
	{"variables of the firmware", func() error { return syscall.Mount("", "/mnt", "efivarfs", harmless, "") }},
	{"a file system of the host", hostFileSystem},
	{"a socket to the host", hostSocket},
	{"typing on a serial port", func() error { return exists("/dev/ttyS0") }},
	{"a weaker lockdown", lockdown},
	{"a swap", swap},
	{"a listening port", listening},
}

// tryDoors says each door that is shut, and fails at one that is open.
func tryDoors() error {
	for _, one := range doors {
		err := one.open()
		if err == nil {
			return fmt.Errorf("door open: %s", one.name)
		}
		say("door shut: %s (%v)", one.name, err)
	}
	return nil
}

func readByte(path string, place int64) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	_, err = file.ReadAt(make([]byte, 1), place)
	return err
}

func list(path string) error {
	_, err := os.ReadDir(path)
	return err
}

func exists(path string) error {
	_, err := os.Stat(path)
	return err
}

// hostFileSystem is nil where the kernel knows any kind of file system that a host or a program may serve.
func hostFileSystem() error {
	for _, kind := range []string{"virtiofs", "9p", "fuse", "nfs"} {
		if err := syscall.Mount("door", "/mnt", kind, harmless, ""); err != syscall.ENODEV {
			return nil
		}
	}
	return syscall.ENODEV
}

func hostSocket() error {
	const vsock = 40
	place, err := syscall.Socket(vsock, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.Close(place)
	}
	return err
}

func kexec() error {
	const unload = 0 // no segments: allowed unless loading is disabled
	if _, _, failed := syscall.Syscall6(syscall.SYS_KEXEC_LOAD, 0, unload, 0, 0, 0, 0); failed != 0 {
		return failed
	}
	return nil
}

func initModule() error {
	empty := make([]byte, 64)
	parameters := make([]byte, 1)
	_, _, failed := syscall.Syscall(syscall.SYS_INIT_MODULE,
		uintptr(unsafe.Pointer(&empty[0])), uintptr(len(empty)), uintptr(unsafe.Pointer(&parameters[0])))
	if failed == syscall.EPERM || failed == syscall.ENOSYS {
		return failed
	}
	return nil // it looked at the module, whatever it thought of it
}

func lockdown() error {
	text, err := os.ReadFile("/sys/kernel/security/lockdown")
	if err != nil {
		return nil // not there: nothing is locked down
	}
	if !strings.Contains(string(text), "[confidentiality]") {
		return nil
	}
	return errors.New("confidentiality")
}

func swap() error {
	text, err := os.ReadFile("/proc/swaps")
	if err == nil && strings.Count(string(text), "\n") > 1 {
		return nil
	}
	return errors.New("none")
}

func listening() error {
	const listens = " 0A "
	for _, name := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		if text, err := os.ReadFile(name); err == nil && strings.Contains(string(text), listens) {
			return nil
		}
	}
	return errors.New("none")
}
