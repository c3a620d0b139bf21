// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
	"unsafe"
)

// The kernel's interface to device mapper, version 4 (linux/dm-ioctl.h).
const (
	dmHeader      = 312
	dmTarget      = 40
	dmVersion     = 4
	dmReadOnly    = 1
	dmCreate      = 3
	dmResume      = 6
	dmLoad        = 9
	dmAnswer      = 4096 // room for what the kernel writes back
	blockSectors  = 8    // sectors in a block of 4096 bytes
	diskWait      = 60 * time.Second
	diskLook      = 20 * time.Millisecond
	verityOptions = "1 panic_on_corruption"
)

// mapVerity makes a device of the disk on which each block is compared with its hash when it is read; the tree lies
// behind the data. A block that does not match ends the machine (panic_on_corruption).
func mapVerity(name, disk string, root verityRoot) (string, error) {
	control, err := os.OpenFile("/dev/mapper/control", os.O_RDWR, 0)
	if err != nil {
		return "", err
	}
	defer control.Close()
	steps := []struct {
		what    string
		number  uintptr
		flags   uint32
		targets []byte
	}{
		{"create", dmCreate, 0, nil},
		{"load", dmLoad, dmReadOnly, verityTarget(disk, root)},
		{"resume", dmResume, 0, nil},
	}
	for _, step := range steps {
		if err := dmCall(control, step.number, name, step.flags, step.targets); err != nil {
			return "", fmt.Errorf("%s: %w", step.what, err)
		}
	}
	names, _ := filepath.Glob("/sys/block/dm-*/dm/name")
	for _, path := range names {
		if text, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(text)) == name {
			return "/dev/" + filepath.Base(filepath.Dir(filepath.Dir(path))), nil
		}
	}
	return "", fmt.Errorf("the kernel shows no device for it")
}

// verityTarget is one entry of the table: struct dm_target_spec, then the parameters, to whole 8 bytes.
func verityTarget(disk string, root verityRoot) []byte {
	parameters := fmt.Sprintf("1 %s %s 4096 4096 %d %d sha256 %s %s %s",
		disk, disk, root.blocks, root.blocks, root.digest, root.salt, verityOptions)
	size := (dmTarget + len(parameters) + 1 + 7) / 8 * 8
	target := make([]byte, size)
	binary.LittleEndian.PutUint64(target[8:], root.blocks*blockSectors)
	binary.LittleEndian.PutUint32(target[20:], uint32(size))
	copy(target[24:dmTarget], "verity")
	copy(target[dmTarget:], parameters)
	return target
}

func dmCall(control *os.File, number uintptr, name string, flags uint32, targets []byte) error {
	request := make([]byte, dmHeader+len(targets)+dmAnswer)
	binary.LittleEndian.PutUint32(request[0:], dmVersion)
	binary.LittleEndian.PutUint32(request[12:], uint32(len(request)))
	binary.LittleEndian.PutUint32(request[16:], dmHeader)
	if targets != nil {
		binary.LittleEndian.PutUint32(request[20:], 1)
	}
	binary.LittleEndian.PutUint32(request[28:], flags)
	copy(request[48:48+127], name)
	copy(request[dmHeader:], targets)
	code := uintptr(3)<<30 | uintptr(dmHeader)<<16 | 0xfd<<8 | number
	if _, _, failed := syscall.Syscall(syscall.SYS_IOCTL, control.Fd(), code, uintptr(unsafe.Pointer(&request[0]))); failed != 0 {
		return failed
	}
	return nil
}

// diskOf waits for the virtio disk with this serial number. What the host puts under it is checked by who reads it.
func diskOf(serial string) (string, error) {
	for end := time.Now().Add(diskWait); time.Now().Before(end); time.Sleep(diskLook) {
		if path, found := diskNow(serial); found {
			return path, nil
		}
	}
	return "", fmt.Errorf("no disk with serial number %q in %s", serial, diskWait)
}

// diskNow is the virtio disk with this serial number, if it is there.
func diskNow(serial string) (string, bool) {
	found, _ := filepath.Glob("/sys/block/vd*/serial")
	for _, path := range found {
		if text, err := os.ReadFile(path); err == nil && strings.TrimSpace(string(text)) == serial {
			return "/dev/" + filepath.Base(filepath.Dir(path)), true
		}
	}
	return "", false
}
