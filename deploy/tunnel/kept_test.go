// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"log"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const namespace = "tp-a"

func config(key byte, more string) map[string]json.RawMessage {
	raw := make([]byte, 32)
	raw[0], raw[31] = key, 64
	text := fmt.Sprintf(`{"address":"100.64.0.1","port":51820,"key":%q,"peers":[%s]}`,
		base64.StdEncoding.EncodeToString(raw), more)
	return map[string]json.RawMessage{namespace: json.RawMessage(text)}
}

// node is a file of pods with one whose network is a namespace of its own, and what keeps its tunnel.
func node(t *testing.T) (*kept, string, string) {
	t.Helper()
	if _, err := os.Stat("/dev/net/tun"); err != nil || os.Geteuid() != 0 {
		t.Skip("tunnels need root and /dev/net/tun")
	}
	name := fmt.Sprintf("kept-test-%d", os.Getpid())
	if output, err := exec.Command("ip", "netns", "add", name).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, output)
	}
	t.Cleanup(func() { _ = exec.Command("ip", "netns", "delete", name).Run() })
	file := filepath.Join(t.TempDir(), "pods.json")
	write(t, file, name, 0)
	made := newKept(file)
	t.Cleanup(func() { made.want(nil) })
	return made, file, name
}

func write(t *testing.T, file, name string, ended int) {
	t.Helper()
	text := `{"pods": {"u": {"namespace": %q, "netns": "/run/netns/%s", "ended": %d}, "v": {"namespace": "tp-b"}}}`
	if err := os.WriteFile(file, fmt.Appendf(nil, text, namespace, name, ended), 0o600); err != nil {
		t.Fatal(err)
	}
}

func links(t *testing.T, name string) int {
	t.Helper()
	output, err := exec.Command("ip", "-n", name, "-o", "link").Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.Count(string(output), "tunnel0")
}

func TestADeviceComesAndGoesWithItsPodAndWithWhatIsWanted(t *testing.T) {
	made, file, name := node(t)
	if found := made.want(config(1, "")); len(found) != 1 || links(t, name) != 1 {
		t.Fatalf("%v, %d links", found, links(t, name))
	}
	first := made.standing["u"].device
	made.want(config(1, ""))
	if made.standing["u"].device != first {
		t.Error("the same was made anew")
	}
	made.want(config(2, ""))
	if made.standing["u"].device == first || links(t, name) != 1 {
		t.Error("another key does not make another device")
	}
	write(t, file, name, 1)
	if found := made.want(config(2, "")); len(found) != 0 || links(t, name) != 0 {
		t.Errorf("the pod ended: %v", found)
	}
	write(t, file, name, 0)
	made.want(config(2, ""))
	if made.want(nil); links(t, name) != 0 {
		t.Error("nothing is wanted, and the link is there")
	}
}

func TestWhatIsWrongIsNobodyElses(t *testing.T) {
	made, _, name := node(t)
	wanted := config(1, "")
	wanted["tp-b"] = json.RawMessage(`{"port": 0}`)
	if found := made.want(wanted); len(found) != 1 || links(t, name) != 1 {
		t.Errorf("%v", found)
	}
	var said strings.Builder
	log.SetOutput(&said)
	t.Cleanup(func() { log.SetOutput(os.Stderr) })
	made.want(wanted)
	if said.Len() != 0 {
		t.Errorf("what is wrong is said at each look: %s", said.String())
	}
}

func TestACallTellsWhatStands(t *testing.T) {
	made, _, _ := node(t)
	socket := filepath.Join(t.TempDir(), "s")
	if err := listen(socket, made); err != nil {
		t.Fatal(err)
	}
	connection, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	peer := `{"node":"b","key":"AgAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAEA=","address":"100.64.0.2","endpoint":"10.0.0.1:1"}`
	_ = json.NewEncoder(connection).Encode(config(1, peer))
	_ = connection.(*net.UnixConn).CloseWrite()
	var found map[string]view
	if err := json.NewDecoder(connection).Decode(&found); err != nil {
		t.Fatal(err)
	}
	if heard, told := found[namespace].Heard["b"]; !told || heard != -1 {
		t.Errorf("%v", found)
	}
}
