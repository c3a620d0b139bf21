// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// cpuRecord is the attribute of a control group that keeps what CPU its processes had when they last ran. It
// outlives this agent and ends with the group; the kernel has such attributes of groups since version 5.7.
const cpuRecord = "user.trustedpods.cpu"

// maxRecord bounds what is read of it: two numbers.
const maxRecord = 64

// unbounded is the quota of a group that has none.
const unbounded = -1

// periodUs is the kubelet's, in microseconds, of which a quota is a part; a longer one makes it less of a core.
const periodUs = 100_000

// mostMilli bounds what is believed of a pod: Linux has no machine with more cores, and its weights end at that.
const mostMilli = 256_000

// cpu is what a group may use: microseconds of each period, and its weight beside other groups.
type cpu struct {
	quota  int64
	weight uint64
}

func (c cpu) text() string { return fmt.Sprintf("%d %d", c.quota, c.weight) }

func parseCPU(text string) (cpu, error) {
	var found cpu
	_, err := fmt.Sscanf(text, "%d %d", &found.quota, &found.weight)
	return found, err
}

// most is the greater of both, of quota and weight each.
func (c cpu) most(other cpu) cpu {
	most := cpu{max(c.quota, other.quota), max(c.weight, other.weight)}
	if c.quota == unbounded || other.quota == unbounded {
		most.quota = unbounded
	}
	return most
}

// remember keeps what CPU the groups of a pod have. What is kept of earlier is never made less: the node may have
// been asked for less meanwhile, and the way back may be under way.
func (g *Groups) remember(group string) error {
	return g.eachCPU(group, func(folder string) error {
		now, err := g.readCPU(folder)
		if err != nil {
			return err
		}
		if before, there := recorded(folder); there {
			now = now.most(before)
		}
		return syscall.Setxattr(folder, cpuRecord, []byte(now.text()), 0)
	})
}

// rememberAwake keeps what a pod has awake, in thousandths of a core, where nothing is kept of it yet.
func (g *Groups) rememberAwake(group string, milli uint64) error {
	folder := filepath.Join(g.cpu, group)
	if _, there := recorded(folder); there {
		return nil
	}
	milli = min(milli, mostMilli)
	weight := max(2, milli*1024/1000)
	if g.second {
		weight = 1 + (weight-2)*9999/262142 // from 2..262144 to 1..10000; newer runtimes give more, which is kept
	}
	return syscall.Setxattr(folder, cpuRecord, []byte(cpu{int64(milli * periodUs / 1000), weight}.text()), 0)
}

// restore gives a pod's groups what they had, where they have less now. A container that is newer than what was
// kept may have all of its pod's, which bounds them together.
func (g *Groups) restore(group string) error {
	whole, there := recorded(filepath.Join(g.cpu, group))
	if !there {
		return nil
	}
	return g.eachCPU(group, func(folder string) error {
		wanted, there := recorded(folder)
		if !there {
			wanted = whole
		}
		return g.raise(folder, wanted)
	})
}

// restores says whether it is known what CPU a pod had.
func (g *Groups) restores(group string) bool {
	_, there := recorded(filepath.Join(g.cpu, group))
	return there
}

// eachCPU does something with a pod's group and then with its containers': the kernel gives none of them more than
// the pod has. Groups that end meanwhile are left out.
func (g *Groups) eachCPU(group string, do func(folder string) error) error {
	whole := filepath.Join(g.cpu, group)
	entries, err := os.ReadDir(whole)
	if gone(err) {
		return nil
	}
	if err == nil {
		err = do(whole)
	}
	for _, entry := range entries {
		if !entry.IsDir() {
			continue
		}
		if lost := do(filepath.Join(whole, entry.Name())); !gone(lost) {
			err = errors.Join(err, lost)
		}
	}
	return err
}

func recorded(folder string) (cpu, bool) {
	text := make([]byte, maxRecord)
	size, err := syscall.Getxattr(folder, cpuRecord, text)
	if err != nil {
		return cpu{}, false
	}
	found, err := parseCPU(string(text[:size]))
	return found, err == nil
}

// files are those of quota and weight.
func (g *Groups) cpuFiles() (quota, weight string) {
	if g.second {
		return "cpu.max", "cpu.weight"
	}
	return "cpu.cfs_quota_us", "cpu.shares"
}

func (g *Groups) readCPU(folder string) (cpu, error) {
	quotaFile, weightFile := g.cpuFiles()
	quotaText, err := os.ReadFile(filepath.Join(folder, quotaFile))
	if err != nil {
		return cpu{}, err
	}
	weightText, err := os.ReadFile(filepath.Join(folder, weightFile))
	if err != nil {
		return cpu{}, err
	}
	first, _, _ := strings.Cut(strings.TrimSpace(string(quotaText)), " ") // version 2 has the period behind it
	if first == "max" {
		first = strconv.Itoa(unbounded)
	}
	return parseCPU(first + " " + strings.TrimSpace(string(weightText)))
}

func (g *Groups) raise(folder string, wanted cpu) error {
	now, err := g.readCPU(folder)
	if err != nil {
		return err
	}
	most, changed := now.most(wanted), error(nil)
	quotaFile, weightFile := g.cpuFiles()
	if most.quota != now.quota {
		text := strconv.FormatInt(most.quota, 10)
		if g.second && most.quota == unbounded {
			text = "max"
		}
		changed = os.WriteFile(filepath.Join(folder, quotaFile), []byte(text), 0o600)
	}
	if most.weight != now.weight {
		text := strconv.FormatUint(most.weight, 10)
		changed = errors.Join(changed, os.WriteFile(filepath.Join(folder, weightFile), []byte(text), 0o600))
	}
	return changed
}
