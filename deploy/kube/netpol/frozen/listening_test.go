// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
)

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F91 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   1: 00000000:270F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
   2: 0100007F:1F91 0100007F:8888 01 00000000:00000000 00:00000000 00000000  1000        0 1 1 0 100 0 0 10 0
`

const table6 = `  sl  local_address                         remote_address                        st
   0: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A
   1: 0000000000000000FFFF00000100007F:0051 00000000000000000000000000000000:0000 0A
   2: 00000000000000000000000001000000:0052 00000000000000000000000000000000:0000 0A
   3: 0000:0053 0000:0000 0A
   4: no table
`

func TestTables(t *testing.T) {
	for text, wanted := range map[string]string{
		table: "[127.0.0.1:8081 0.0.0.0:9999]", table6: "[[::]:80 127.0.0.1:81 [::1]:82]", "": "[]",
	} {
		if found := fmt.Sprint(parseListeners(text)); found != wanted {
			t.Fatal(found, wanted)
		}
	}
}

// Its containers' groups stand below its own; only those that listen are told, each once.
func TestListenersOfAPod(t *testing.T) {
	mount := paper(t)
	group := mount + "/freezer/node/kubepods/burstable/pod" + one
	write(t, "", group, "cgroup.procs")
	write(t, "0\n17\n18\n", group, "container", "cgroup.procs")
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	leases.groups.proc = mount + "/proc"
	if told := leases.Listening([]string{one, other}); len(told) != 0 {
		t.Fatal("of processes that are not seen", told)
	}
	write(t, table+table, mount, "proc/18/net/tcp")
	var to bytes.Buffer
	if err := leases.Answer(strings.NewReader(`{"verb":"listening","pods":["`+one+`"]}`), &to); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(to.String(), `"listens":{"`+one+`":["0.0.0.0:9999","127.0.0.1:8081"]}`) {
		t.Fatal(to.String())
	}
}

// A pod with a million connections has a table of 150 MB; and a line that is cut is no listener.
func TestOfATableNoMoreIsReadThanIsBounded(t *testing.T) {
	row := "   1: 0100007F:270F 0100007F:8888 01 00000000:00000000\n"
	path := t.TempDir() + "/tcp"
	write(t, table+strings.Repeat(row, 4*maxTable/len(row)), path)
	read, err := readTable(path)
	if err != nil || len(read) > maxTable || len(read) < maxTable-len(row) || !strings.HasSuffix(read, "\n") {
		t.Fatal(len(read), err)
	}
	if found := fmt.Sprint(parseListeners(read)); found != "[127.0.0.1:8081 0.0.0.0:9999]" {
		t.Fatal(found)
	}
}

func TestThisProcessIsSeenToListen(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	mount := paper(t)
	write(t, fmt.Sprintf("%d\n", os.Getpid()), mount, "freezer/node/kubepods/burstable/pod"+one, "cgroup.procs")
	leases, err := New(Open(mount, "/node"), all)
	if err != nil {
		t.Fatal(err)
	}
	mine := netip.MustParseAddrPort(listener.Addr().String())
	// All of a busy machine's listeners may be more than are told.
	all, err := os.ReadFile("/proc/self/net/tcp")
	if err != nil || !slices.Contains(parseListeners(string(all)), mine) {
		t.Fatal(mine, err)
	}
	if told := leases.Listening([]string{one})[one]; len(told) == 0 || len(told) > maxListeners {
		t.Fatal(told)
	}
}
