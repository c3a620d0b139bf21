// SPDX-License-Identifier: Apache-2.0

// Command init is process 1 of the guest, twice: in the initrd it opens the verified root, in the root it shuts what
// is left open, tries every door, takes the operator's configuration, starts one program and reaps. Whatever fails
// ends it, and the kernel panics and restarts the machine (panic=1). There is no shell to fall back to.
package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const (
	secondStage = "/usr/lib/trustedpods/init" // this program again, in the root
	program     = "/usr/lib/trustedpods/bin/trustedpods-provider"
	supervisor  = "/usr/lib/trustedpods/bin/trustedpods-supervisor"
	programs    = "/usr/lib/trustedpods/bin"
	sitePath    = "/usr/lib/trustedpods/site"
	rootSerial  = "trustedpods-root"
	consoleTime = time.Second // a serial port takes its time; the kernel restarts the machine right after
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "init: only as process 1 of the guest")
		os.Exit(2)
	}
	stage := openRoot
	if os.Args[0] == secondStage {
		stage = runRoot
	}
	say("stopped: %v", stage())
	time.Sleep(consoleTime)
	os.Exit(1)
}

type mount struct {
	source, target, kind string
	flags                uintptr
	data                 string
}

const harmless = syscall.MS_NOSUID | syscall.MS_NODEV | syscall.MS_NOEXEC

var (
	early = []mount{
		{"proc", "/proc", "proc", harmless, ""},
		{"sysfs", "/sys", "sysfs", harmless, ""},
		{"devtmpfs", "/dev", "devtmpfs", syscall.MS_NOSUID | syscall.MS_NOEXEC, "mode=0755"},
		{"tmpfs", "/run", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=0755"},
	}
	moved = []string{"proc", "sys", "dev", "run"}
	late  = []mount{
		{"securityfs", "/sys/kernel/security", "securityfs", harmless, ""},
		{"tmpfs", "/tmp", "tmpfs", harmless, "mode=1777,size=64m"},
		{"tmpfs", "/var", "tmpfs", syscall.MS_NOSUID | syscall.MS_NODEV, "mode=0755,size=50%"},
	}
	forPods = []mount{
		{"cgroup2", "/sys/fs/cgroup", "cgroup2", harmless, "nsdelegate"},
		{"bpf", "/sys/fs/bpf", "bpf", harmless, "mode=0700"},
		{"configfs", "/sys/kernel/config", "configfs", harmless, ""},
		{"devpts", "/dev/pts", "devpts", syscall.MS_NOSUID | syscall.MS_NOEXEC, "newinstance,ptmxmode=0666,mode=0620,gid=5"},
		{"tmpfs", "/dev/shm", "tmpfs", harmless, "mode=1777"},
		{"mqueue", "/dev/mqueue", "mqueue", harmless, ""},
	}
	deviceFolders = []string{"/dev/pts", "/dev/shm", "/dev/mqueue"} // of forPods; the others the kernel makes
)

func mountAll(mounts []mount) error {
	for _, one := range mounts {
		if err := syscall.Mount(one.source, one.target, one.kind, one.flags, one.data); err != nil {
			return fmt.Errorf("mounting %s: %w", one.target, err)
		}
	}
	return nil
}

// openRoot is the first stage. It returns only with an error.
func openRoot() error {
	if err := mountAll(early); err != nil {
		return err
	}
	say("initrd")
	given, err := os.ReadFile("/proc/cmdline")
	if err != nil {
		return err
	}
	expected, err := os.ReadFile("/command_line")
	if err != nil {
		return err
	}
	line, err := acceptedLine(string(given), string(expected))
	if err != nil {
		return err
	}
	root, err := rootOf(line)
	if err != nil {
		return err
	}
	disk, err := diskOf(rootSerial)
	if err != nil {
		return err
	}
	device, err := mapVerity("root", disk, root)
	if err != nil {
		return fmt.Errorf("dm-verity: %w", err)
	}
	if err := syscall.Mount(device, "/root", "erofs", syscall.MS_RDONLY, ""); err != nil {
		return fmt.Errorf("mounting the root: %w", err)
	}
	say("verified root")
	return enterRoot()
}

func enterRoot() error {
	for _, name := range moved {
		if err := syscall.Mount("/"+name, "/root/"+name, "", syscall.MS_MOVE, ""); err != nil {
			return fmt.Errorf("moving %s: %w", name, err)
		}
	}
	if err := os.Chdir("/root"); err != nil {
		return err
	}
	if err := syscall.Mount(".", "/", "", syscall.MS_MOVE, ""); err != nil {
		return err
	}
	if err := syscall.Chroot("."); err != nil {
		return err
	}
	if err := os.Chdir("/"); err != nil {
		return err
	}
	return syscall.Exec(secondStage, []string{secondStage}, []string{"PATH=/usr/sbin:/usr/bin"})
}

// runRoot is the second stage. It returns only with an error.
func runRoot() error {
	if err := mountAll(late); err != nil {
		return err
	}
	if err := shutDoors(); err != nil {
		return err
	}
	if err := tryDoors(); err != nil {
		return err
	}
	say("all doors shut")
	configured, err := takeConfiguration()
	if err != nil {
		return err
	}
	signal.Ignore(syscall.SIGINT, syscall.SIGHUP, syscall.SIGTERM, syscall.SIGUSR1, syscall.SIGUSR2)
	if !configured {
		return run(false, program, "--version")
	}
	say("configuration taken")
	for _, folder := range deviceFolders {
		if err := os.MkdirAll(folder, 0o755); err != nil {
			return err
		}
	}
	if err := mountAll(forPods); err != nil {
		return err
	}
	return run(true, supervisor, configurationFile)
}

// run starts the one program and reaps. Where it is *needed*, its end is the machine's.
func run(needed bool, name string, words ...string) error {
	child := exec.Command(name, words...)
	child.Env = []string{"PATH=/usr/lib/trustedpods/bin:/usr/sbin:/usr/bin", "HOME=/run", "LANG=C.UTF-8",
		"PYTHONPATH=" + sitePath, "TRUSTEDPODS_PROGRAMS=" + programs, "PYTHONDONTWRITEBYTECODE=1"}
	child.Stdout, child.Stderr = os.Stdout, os.Stderr
	if err := child.Start(); err != nil {
		return err
	}
	return reap(child.Process.Pid, needed)
}

// reap waits for every process that ends. Where the one program is not *needed* it may end well; then the machine
// rests: it was given no configuration.
func reap(program int, needed bool) error {
	for {
		var status syscall.WaitStatus
		pid, err := syscall.Wait4(-1, &status, 0, nil)
		switch {
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.ECHILD):
			say("resting")
			for {
				time.Sleep(time.Hour)
			}
		case err != nil:
			return err
		case pid == program && (needed || status.ExitStatus() != 0):
			return fmt.Errorf("the program ended with %d", status.ExitStatus())
		}
	}
}

// say writes to the console, if the command line names one.
func say(format string, words ...any) {
	data, _ := os.ReadFile("/proc/uptime")
	seconds, _, _ := strings.Cut(string(data), " ")
	fmt.Printf("guest: %s s: %s\n", seconds, fmt.Sprintf(format, words...))
}
