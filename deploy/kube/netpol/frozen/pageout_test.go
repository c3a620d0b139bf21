// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

const heading = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n"

func TestRoomIsCompressedMemoryAlone(t *testing.T) {
	folder := t.TempDir()
	pager := &Pager{filepath.Join(folder, "swaps"), filepath.Join(folder, "block")}
	zram := "/dev/zram0                              partition\t1024\t\t24\t\t-2\n"
	for _, one := range []struct {
		swaps, backing string
		room           uint64
		refused        bool
	}{
		{zram, "none\n", 1000 << 10, false},
		{zram, "", 1000 << 10, false},
		{zram + "/dev/zram1 partition 8 0 -3\n", "none\n", 1008 << 10, false},
		{"", "", 0, true},
		{zram + "/dev/sda2 partition 8 0 -3\n", "none\n", 0, true},
		{"/swap/dev/zram0 file 8 0 -3\n", "none\n", 0, true},
		{zram, "/dev/sda3\n", 0, true},
		{zram, "/" + strings.Repeat("\x01", 900) + "\n", 0, true},
		{"/dev/zram0 partition 8 9 -2\n", "none\n", 0, true},
		{"/dev/zram0 partition x 0 -2\n", "none\n", 0, true},
		{"/dev/zram0 partition\n", "none\n", 0, true},
	} {
		write(t, heading+one.swaps, pager.swaps)
		_ = os.RemoveAll(pager.block)
		if one.backing != "" {
			write(t, one.backing, pager.block, "zram0", "backing_dev")
		}
		if room, err := pager.room(); room != one.room || (err != nil) != one.refused {
			t.Fatal(one, room, err)
		}
		if state := pager.state(); len(state) > 200 || strings.ContainsRune(state, 1) {
			t.Fatal("the daemon would take none of the answer: ", state)
		}
		if (pager.state() == "on") == one.refused || (*Pager)(nil).state() != "off" {
			t.Fatal(one, pager.state())
		}
	}
}

func TestOnlyWhatAProcessAloneHasWrittenIsPagedOut(t *testing.T) {
	for line, wanted := range map[string]bool{
		"7f0000000000-7f0000021000 rw-p 00000000 00:00 0 ":            true,
		"5590a0000000-5590a0100000 rw-p 00000000 00:00 0      [heap]": true,
		"7f0000000000-7f0000021000 r-xp 00000000 08:01 12 /bin/x":     false,
		"7f0000000000-7f0000021000 rw-s 00000000 00:01 12 /dev/shm/x": false,
		"7f0000021000-7f0000000000 rw-p 00000000 00:00 0 ":            false,
		"nonsense":                 false,
		"zz-7f0000000000 rw-p 0 0": false,
	} {
		if _, size, own := parseMapping(line); own != wanted || (own && size == 0) {
			t.Fatal(line, size, own)
		}
	}
}

func TestWithoutCompressedMemoryAPodIsFrozenAsItIs(t *testing.T) {
	mount := paper(t)
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	leases.Pages = &Pager{filepath.Join(mount, "no-swaps"), mount}
	if told := leases.Freeze([]string{one}, time.Minute, time.Now()); !told[one].Frozen {
		t.Fatal(told)
	}
}

const pythonServer = `
import http.server, sys
held = bytearray(b"some text that is like what programs hold, %08d " % 7) * (60 * 1024 * 1024 // 51)
class Answer(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(b"hello")
    def log_message(self, *_): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Answer).serve_forever()
`

const nodeServer = `
const held = [];
for (let i = 0; i < 46; i++) held.push(Buffer.alloc(1 << 20, "some text that is like what programs hold " + i));
require("http").createServer((_, answer) => answer.end("hello")).listen(+process.argv[1], "127.0.0.1");
`

// Servers of this machine, in groups of its kernel, paged out into its compressed memory, where it has some.
func TestServersArePagedOutAndAnswer(t *testing.T) {
	if _, err := NewPager().room(); err != nil {
		t.Skip("not run: ", err)
	}
	for name, words := range map[string][]string{
		"python": {"python3", "-c", pythonServer}, "node": {"node", "-e", nodeServer},
	} {
		program, err := exec.LookPath(words[0])
		if err != nil {
			t.Log("not run: ", err)
			continue
		}
		t.Run(name, func(t *testing.T) { pagesOut(t, program, words[1:]) })
	}
}

func pagesOut(t *testing.T, program string, words []string) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := strconv.Itoa(listener.Addr().(*net.TCPAddr).Port)
	listener.Close()
	root := "tp-pages-" + time.Now().Format("150405.000000")
	groups, group := Open("/sys/fs/cgroup", root), "kubepods/pod"+one
	folders := []string{filepath.Join(groups.state, group), filepath.Join(groups.memory, group)}
	process := exec.Command(program, append(words, port)...)
	t.Cleanup(func() {
		_ = groups.set(group, false)
		if process.Process != nil {
			_ = process.Process.Kill()
			_ = process.Wait()
		}
		for _, folder := range folders {
			for ; filepath.Base(folder) != root; folder = filepath.Dir(folder) {
				_ = os.Remove(folder)
			}
			_ = os.Remove(folder)
		}
	})
	for _, folder := range folders {
		if os.MkdirAll(folder, 0o755) != nil {
			t.Skip("no control groups can be made here")
		}
		write(t, strconv.Itoa(os.Getpid()), folder, "cgroup.procs")
	}
	err = process.Start() // in the groups that this process is in
	for _, folder := range []string{groups.state, groups.memory} {
		write(t, strconv.Itoa(os.Getpid()), filepath.Dir(folder), "cgroup.procs")
	}
	if err != nil {
		t.Fatal(err)
	}
	ask := func() time.Duration {
		began := time.Now()
		answer, err := http.Get("http://127.0.0.1:" + port)
		if err != nil {
			return 0
		}
		defer answer.Body.Close()
		_, _ = io.Copy(io.Discard, answer.Body)
		return time.Since(began)
	}
	for limit := time.Now().Add(20 * time.Second); ask() == 0; time.Sleep(50 * time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatal("it does not serve")
		}
	}
	leases, err := New(groups, all)
	if err != nil {
		t.Fatal(err)
	}
	leases.Pages = NewPager()
	awake := leases.Size([]string{one})[one].Memory
	var held uint64
	var firsts, out []time.Duration
	for range 11 {
		began := time.Now()
		held = leases.Freeze([]string{one}, time.Minute, time.Now())[one].Memory
		out = append(out, time.Since(began))
		began = time.Now()
		leases.Thaw([]string{one})
		thaw := time.Since(began)
		first := ask()
		if first == 0 {
			t.Fatal("no answer")
		}
		firsts = append(firsts, thaw+first)
		for range 3 {
			ask()
		}
	}
	slices.Sort(firsts)
	slices.Sort(out)
	fmt.Printf("%s: %d MiB awake, %d frozen; frozen within %s (median), first answer p50 %s, last %s\n",
		filepath.Base(program), awake>>20, held>>20, out[5], firsts[5], firsts[10])
	if held*10 > awake*4 {
		t.Fatal("more than 0.4 of what it held awake", awake, held)
	}
}
