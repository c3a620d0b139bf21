// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"unsafe"
)

const (
	// mostPaged bounds the pods whose memory is paged out: all of it may be read again within the first answer.
	mostPaged = 256 << 20
	// mostMappings bounds what is looked at of one process.
	mostMappings = 4096
	// maxReason bounds what is told of why nothing is paged out, in characters: the daemon takes no more than 256.
	maxReason = 200
)

// Of Linux 5.10, alike on all machines (include/uapi/asm-generic/unistd.h and mman-common.h).
const (
	pidfdOpen      = 434
	processMadvise = 440
	madvPageout    = 21
)

// Pager moves the memory of pods that are stopped into compressed memory, and never to a disk.
type Pager struct {
	swaps string // "/proc/swaps"
	block string // "/sys/block"
}

// NewPager uses the swap of this machine.
func NewPager() *Pager { return &Pager{"/proc/swaps", "/sys/block"} }

// room is what all swap of the machine takes yet, in bytes. It is an error where there is none, or any of it could
// write to a disk: a pod's memory would be on it.
func (p *Pager) room() (uint64, error) {
	text, err := os.ReadFile(p.swaps)
	if err != nil {
		return 0, err
	}
	left := uint64(0)
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")[1:] // a heading
	for _, line := range lines {
		fields := strings.Fields(line)
		if len(fields) < 4 {
			return 0, fmt.Errorf("%s: %.80q", p.swaps, line)
		}
		name := filepath.Base(fields[0])
		if !strings.HasPrefix(fields[0], "/dev/zram") {
			return 0, fmt.Errorf("%.80q is no compressed memory", fields[0])
		}
		backing, err := os.ReadFile(filepath.Join(p.block, name, "backing_dev"))
		if err != nil && !errors.Is(err, fs.ErrNotExist) { // a kernel may not know of such devices
			return 0, err
		}
		if found := strings.TrimSpace(string(backing)); err == nil && found != "none" {
			return 0, fmt.Errorf("%.80q writes to %.80q", fields[0], found)
		}
		size, sizeErr := strconv.ParseUint(fields[2], 10, 64)
		used, usedErr := strconv.ParseUint(fields[3], 10, 64)
		if err := errors.Join(sizeErr, usedErr); err != nil || used > size {
			return 0, fmt.Errorf("%s: %.80q", p.swaps, line)
		}
		left += (size - used) << 10
	}
	if len(lines) == 0 {
		return 0, errors.New("no compressed memory is in use as swap")
	}
	return left, nil
}

// state is for people: "off", "on", or why nothing is paged out.
func (p *Pager) state() string {
	if p == nil {
		return "off"
	}
	if _, err := p.room(); err != nil {
		return fmt.Sprintf("%.*s", maxReason, err)
	}
	return "on"
}

// out pages a pod out that is stopped. One that is too large, or that finds too little room, stays as it is.
func (p *Pager) out(groups *Groups, group string) error {
	left, err := p.room()
	if err != nil {
		return err
	}
	held, err := groups.held(group)
	if err != nil {
		return err
	}
	if held > min(mostPaged, left) {
		return fmt.Errorf("%d bytes are more than the %d that are left, or than %d", held, left, mostPaged)
	}
	pids, err := groups.processes(group)
	if err != nil {
		return err
	}
	closeSwap, err := groups.openSwap(group)
	for _, pid := range pids {
		if number, wrong := strconv.Atoi(pid); wrong == nil && number > 0 {
			err = errors.Join(err, pageOut(groups.proc, number))
		}
	}
	return errors.Join(err, closeSwap())
}

// openSwap lets a pod's groups use swap, which the kubelet forbids them by version 2's limit, until it is closed: what
// is there then stays there.
func (g *Groups) openSwap(group string) (closed func() error, err error) {
	before := map[string][]byte{}
	closed = func() error {
		var failed error
		for file, limit := range before {
			if lost := os.WriteFile(file, limit, 0o600); lost != nil && !gone(lost) {
				failed = errors.Join(failed, lost)
			}
		}
		return failed
	}
	if !g.second {
		return closed, nil
	}
	whole := filepath.Join(g.memory, group)
	err = filepath.WalkDir(whole, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.IsDir() {
			return err
		}
		file := filepath.Join(path, "memory.swap.max")
		limit, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		before[file] = limit
		return os.WriteFile(file, []byte("max"), 0o600)
	})
	return closed, err
}

// pageOut asks the kernel to page out what a process alone has written: what it shares, and programs, stay.
func pageOut(proc string, pid int) error {
	file, err := os.Open(filepath.Join(proc, strconv.Itoa(pid), "maps"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer file.Close()
	handle, _, errno := syscall.Syscall(pidfdOpen, uintptr(pid), 0, 0)
	if errno == syscall.ESRCH {
		return nil
	}
	if errno != 0 {
		return errno
	}
	defer syscall.Close(int(handle))
	lines := bufio.NewScanner(file)
	for count := 0; count < mostMappings && lines.Scan(); count++ {
		begin, size, own := parseMapping(lines.Text())
		if !own {
			continue
		}
		part := remoteRange{begin, size}
		_, _, errno := syscall.Syscall6(processMadvise, handle, uintptr(unsafe.Pointer(&part)), 1, madvPageout, 0, 0)
		if errno != 0 && errno != syscall.EINVAL && errno != syscall.ENOMEM { // locked memory, or none there any more
			return fmt.Errorf("process %d: %w", pid, errno)
		}
	}
	return lines.Err()
}

// remoteRange is the kernel's iovec, of another process.
type remoteRange struct {
	begin uint64
	size  uint64
}

// parseMapping reads a line of /proc/PID/maps; *own* is private memory that can be written.
func parseMapping(line string) (begin, size uint64, own bool) {
	var end uint64
	var rights string
	if _, err := fmt.Sscanf(line, "%x-%x %s", &begin, &end, &rights); err != nil || end <= begin {
		return 0, 0, false
	}
	return begin, end - begin, len(rights) == 4 && rights[1] == 'w' && rights[3] == 'p'
}
