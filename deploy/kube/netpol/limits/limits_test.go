// SPDX-License-Identifier: Apache-2.0

package limits

import (
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"testing"
)

var (
	one   = Pod{"u-1", netip.MustParseAddr("10.0.1.2")}
	two   = Pod{"u-2", netip.MustParseAddr("10.0.1.3")}
	three = Pod{"u-3", netip.MustParseAddr("10.0.1.2")} // at the address of the first
)

func TestWhatIsNoNumberInBoundsIsAnError(t *testing.T) {
	for _, wrong := range []string{"0", "-1", "1.5", "many", "100001", "9999999999999999999"} {
		if found, err := Parse(wrong, ""); err == nil {
			t.Errorf("%q: %v", wrong, found)
		}
	}
	if _, err := Parse("5", "1000001"); err == nil {
		t.Error("too many connections")
	}
	if found, err := Parse("100000", "1000000"); err != nil || found != (Limits{100_000, 1_000_000}) {
		t.Error(found, err)
	}
	if found, err := Parse("", ""); err != nil || found != (Limits{}) {
		t.Error(found, err)
	}
}

func TestWithoutLimitsThereIsNoTable(t *testing.T) {
	text := Replace(Limits{}, []Pod{one}, nil)
	if text != "table ip trustedpods-limits\ndelete table ip trustedpods-limits\n" {
		t.Error(text)
	}
}

func TestEachLimitIsARuleOfItsOwnBeforeTheCounters(t *testing.T) {
	text := Replace(Limits{8, 20}, []Pod{two, one}, map[string]uint64{"u-2": 7, "gone": 3})
	for _, wanted := range []string{
		"type filter hook forward priority 5; policy accept;",
		"ct direction original ct state new ct status ! confirmed update @connections " +
			"{ ip saddr limit rate over 20/second burst 20 packets } goto refuse",
		"update @bytes { ip saddr limit rate over 1000000 bytes/second burst 250000 bytes } goto refuse",
		"counter pod-u-1 { packets 0 bytes 0 }", "counter pod-u-2 { packets 7 bytes 0 }",
		"bounded { 10.0.1.2, 10.0.1.3 }", `refused { 10.0.1.2 : "pod-u-1", 10.0.1.3 : "pod-u-2" }`,
	} {
		if !strings.Contains(text, wanted) {
			t.Errorf("without %s:\n%s", wanted, text)
		}
	}
	if strings.Contains(text, "gone") {
		t.Error(text)
	}
	if strings.Contains(Replace(Limits{Mbit: 8}, nil, nil), "ct state") {
		t.Error("connections without a limit of them")
	}
	if strings.Contains(Replace(Limits{Connections: 8}, nil, nil), "bytes/second") {
		t.Error("bytes without a limit of them")
	}
}

func TestASmallRateLetsAWholeSegmentPass(t *testing.T) {
	if text := Replace(Limits{Mbit: 1}, nil, nil); !strings.Contains(text, "over 125000 bytes/second burst 131072 bytes") {
		t.Error(text)
	}
}

func TestAChangeTouchesOnlyWhoComesAndGoes(t *testing.T) {
	if text := Change([]Pod{one, two}, []Pod{two, one}); text != "" {
		t.Error(text)
	}
	text := Change([]Pod{one, two}, []Pod{three, two})
	for _, wanted := range []string{"delete counter ip trustedpods-limits pod-u-1\n", "add counter ip trustedpods-limits pod-u-3\n"} {
		if !strings.Contains(text, wanted) {
			t.Errorf("without %s:\n%s", wanted, text)
		}
	}
	if strings.Contains(text, "counter ip trustedpods-limits pod-u-2") || strings.Contains(text, "flush set ip trustedpods-limits bytes") {
		t.Error(text)
	}
}

func TestOfTwoPodsAtOneAddressOneIsBounded(t *testing.T) {
	if text := Replace(Limits{Mbit: 1}, []Pod{three, one}, nil); strings.Contains(text, "u-1") || !strings.Contains(text, "u-3") {
		t.Error(text)
	}
}

// Where a kernel may be written: nft takes every script, and the counters go on.
func TestNftTakesTheScripts(t *testing.T) {
	if os.Getenv("LIMITS_NFT") == "" {
		t.Skip("LIMITS_NFT is not set: tests/live/isolation/test_egress_limits.py sets it in a network of its own")
	}
	table := func() map[string]uint64 {
		listing, err := exec.Command("nft", "-j", "list", "table", "ip", Table).Output()
		if err != nil {
			t.Fatal(err)
		}
		found, err := Refused(listing)
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	do := func(script string) {
		t.Helper()
		command := exec.Command("nft", "-f", "-")
		command.Stdin = strings.NewReader(script)
		if output, err := command.CombinedOutput(); err != nil {
			t.Fatalf("%v: %s\n%s", err, output, script)
		}
	}
	do("table ip trustedpods-limits {\n set bytes { type inet_service; }\n chain bound { type filter hook forward priority 3; }\n}\n")
	do(Replace(Limits{8, 20}, []Pod{one, two}, map[string]uint64{"u-1": 5}))
	if found := table(); len(found) != 2 || found["u-1"] != 5 || found["u-2"] != 0 {
		t.Fatal(found)
	}
	do(Change([]Pod{one, two}, []Pod{three}))
	if found := table(); len(found) != 1 || found["u-3"] != 0 {
		t.Fatal(found)
	}
	do(Change([]Pod{three}, nil))
	do(Replace(Limits{MostMbit, MostConnections}, []Pod{one}, nil))
	do(Replace(Limits{}, []Pod{one}, nil))
	do(Replace(Limits{}, nil, nil))
	if exec.Command("nft", "list", "table", "ip", Table).Run() == nil {
		t.Error("the table is still there")
	}
}
