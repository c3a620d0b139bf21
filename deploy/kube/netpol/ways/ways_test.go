// SPDX-License-Identifier: Apache-2.0

package ways

import (
	"encoding/json"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

var (
	began   = time.Unix(1_800_000_000, 0)
	network = netip.MustParsePrefix("10.0.1.0/24")
	two     = netip.MustParseAddr("10.0.1.2")
	three   = netip.MustParseAddr("10.0.1.3")
	ports   = Ports{31000, 31063}
	shop    = Way{31000, "shop", two, 5432, 100}
)

func wanted(ways ...Way) Wanted {
	made := Wanted{Ways: ways, Owners: map[uint16]string{}, PerSource: 10, Seconds: 30}
	for _, way := range ways {
		made.Owners[way.Port] = way.Pod
	}
	return made
}

// Whoever asks gets ports of the facade led, and no others.
func TestOnlyPortsOfTheFacadeAreLed(t *testing.T) {
	ok := wanted(shop)
	if err := ok.Check(ports); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*Wanted){
		"another port":   func(w *Wanted) { w.Ways[0].Port = 22 },
		"twice":          func(w *Wanted) { w.Ways = append(w.Ways, shop) },
		"no target":      func(w *Wanted) { w.Ways[0].Target = 0 },
		"no address":     func(w *Wanted) { w.Ways[0].Address = netip.Addr{} },
		"IPv6":           func(w *Wanted) { w.Ways[0].Address = netip.MustParseAddr("::1") },
		"no pod":         func(w *Wanted) { w.Ways[0].Pod = "" },
		"another's":      func(w *Wanted) { w.Owners[31000] = "other" },
		"no limit":       func(w *Wanted) { w.Ways[0].Most = 0 },
		"owner of ssh":   func(w *Wanted) { w.Owners[22] = "shop" },
		"owner long":     func(w *Wanted) { w.Owners[31001] = strings.Repeat("a", 64) },
		"no per source":  func(w *Wanted) { w.PerSource = 0 },
		"any per source": func(w *Wanted) { w.PerSource = 1 << 40 },
	} {
		bad := wanted(shop)
		change(&bad)
		if bad.Check(ports) == nil {
			t.Error(name)
		}
	}
	for _, text := range []string{"", "31000", "0-5", "9-8", "1-99999", "1-2x", " 1-2"} {
		if _, err := ParsePorts(text); err == nil {
			t.Errorf("%q is a range", text)
		}
	}
	if found, err := ParsePorts("31000-31063"); err != nil || found != ports {
		t.Error(found, err)
	}
}

// The worst fault: an address that another's pod has now.
func TestNothingLeadsToWhoeverHasTheAddressNext(t *testing.T) {
	var book Book
	_ = book.Take(wanted(shop), began)
	if got := book.Judge([]Pod{{"shop", two, false}}, began); len(got.Leading) != 1 || len(got.Reached) != 1 {
		t.Fatal(got)
	}
	if got := book.Judge([]Pod{{"shop", two, true}}, began); len(got.Leading) != 0 || len(got.Reached) != 1 {
		t.Error("one that ends finishes what it has, and gets nothing new", got)
	}
	if got := book.Judge([]Pod{{"other", two, false}}, began); len(got.Leading) != 0 || len(got.Reached) != 0 {
		t.Error("another's pod", got)
	}
	_ = book.Take(wanted(shop), began) // by a daemon that does not know yet
	if got := book.Judge([]Pod{{"other", two, false}, {"shop", three, false}}, began); len(got.Leading)+len(got.Reached) != 0 {
		t.Error("asked for again", got)
	}
}

// A question may come late, behind one that took back what it gives.
func TestALaterQuestionIsNotOvertaken(t *testing.T) {
	var book Book
	first, second := wanted(shop), wanted()
	first.Turn, second.Turn = 1, 2
	if err := book.Take(second, began); err != nil {
		t.Fatal(err)
	}
	if book.Take(first, began) == nil {
		t.Error("it was taken")
	}
	if got := book.Judge([]Pod{{"shop", two, false}}, began); len(got.Leading)+len(got.Reached) != 0 {
		t.Error(got)
	}
}

// Whoever asks again and again for other ways costs the agent no more memory than that.
func TestWhatIsRememberedIsBounded(t *testing.T) {
	var book Book
	for target := range uint16(mostReached + 9) {
		one := shop
		one.Target = target + 1
		_ = book.Take(wanted(one), began)
	}
	got := book.Judge([]Pod{{"shop", two, false}}, began)
	if len(got.Reached) != mostReached || got.Reached[mostReached-1].Target != mostReached+9 {
		t.Error(len(got.Reached))
	}
}

func TestALeaseEndsAndWhatRunsGoesOn(t *testing.T) {
	var book Book
	pods := []Pod{{"shop", two, false}}
	long := wanted(shop)
	long.Seconds = 1 << 40
	_ = book.Take(long, began)
	if got := book.Judge(pods, began.Add(MaxLease-1)); len(got.Leading) != 1 || got.Lease != 1 {
		t.Error(got)
	}
	if got := book.Judge(pods, began.Add(MaxLease)); len(got.Leading) != 0 || len(got.Reached) != 1 {
		t.Error(got)
	}
	drained := wanted()
	drained.Owners[31000] = "shop"
	_ = book.Take(drained, began)
	if got := book.Judge(pods, began); len(got.Leading) != 0 || len(got.Reached) != 1 {
		t.Error("drained", got)
	}
	stored, _ := json.Marshal(book)
	var next Book
	if err := json.Unmarshal(stored, &next); err != nil {
		t.Fatal(err)
	}
	if got := next.Judge(pods, began); len(got.Leading) != 0 || len(got.Reached) != 1 {
		t.Error("of an agent that was started again", got)
	}
	_ = next.Take(wanted(), began)
	if got := next.Judge(pods, began); len(got.Reached) != 0 {
		t.Error("the port is nobody's any more", got)
	}
}

func TestTheKernelIsToldWhatChanged(t *testing.T) {
	script, kernel := Kernel{}.Script(Ruling{PerSource: 10}, network, began)
	if !strings.Contains(script, "ip saddr != 10.0.1.0/24") || strings.Contains(script, "add element") {
		t.Error(script)
	}
	if script, kernel = kernel.Script(Ruling{}, network, began); script != "" {
		t.Error("nothing new", script)
	}
	ruling := Ruling{Leading: []Way{shop}, Reached: []Way{shop}, Lease: 30 * time.Second}
	script, kernel = kernel.Script(ruling, network, began)
	for _, part := range []string{
		"targets { 31000 : 10.0.1.2 . 5432 }", "most { 31000 : goto most-31000-100 }", "ct count over 100",
		"reached { 31000 . 10.0.1.2 . 5432 }", "leased { 31000 timeout 30s }",
	} {
		if !strings.Contains(script, part) {
			t.Error(part, "is not in", script)
		}
	}
	if script, _ = kernel.Script(ruling, network, began.Add(renewEvery-1)); script != "" {
		t.Error("nothing new", script)
	}
	late := ruling
	late.Lease = 500 * time.Millisecond // nobody asked meanwhile
	if script, _ = kernel.Script(late, network, began.Add(renewEvery)); !strings.Contains(script, "{ 31000 timeout 1s }") {
		t.Error("the kernel goes on for longer than the lease", script)
	}
	script, kernel = kernel.Script(ruling, network, began.Add(renewEvery))
	if script != "flush set ip trustedpods-facade leased\nadd element ip trustedpods-facade leased { 31000 timeout 30s }\n" {
		t.Error("a lease that goes on", script)
	}
	other := shop
	other.Port, other.Most = 31001, 5
	script, kernel = kernel.Script(Ruling{Leading: []Way{shop, other}, Reached: ruling.Reached}, network, began)
	if strings.Contains(script, "chain ip trustedpods-facade most-31000") || !strings.Contains(script, "add chain ip trustedpods-facade most-31001-5") {
		t.Error("a port's limit keeps its count", script)
	}
	script, _ = kernel.Script(Ruling{Reached: ruling.Reached}, network, began)
	if strings.Contains(script, "add ") || strings.Count(script, "delete chain") != 2 || !strings.Contains(script, "flush set ip trustedpods-facade leased\n") {
		t.Error("nothing leads anywhere", script)
	}
	if script, _ = kernel.Script(Ruling{PerSource: 11}, network, began); !strings.Contains(script, "count over 11") || !strings.Contains(script, "delete table") {
		t.Error("another bound of a source", script)
	}
}

func connection(source string, bytes uint64, open bool) Connection {
	return Connection{netip.MustParseAddrPort(source), 31000, two, 5432, open, bytes}
}

func TestWhatMovesIsSeen(t *testing.T) {
	var seen Seen
	reached := []Way{shop}
	look := func(after time.Duration, connections ...Connection) (Load, []Aged) {
		t.Helper()
		loads, open := seen.Take(connections, reached, began.Add(after))
		if len(loads) != 1 {
			t.Fatal(loads)
		}
		return loads[0], open
	}
	if got, _ := look(0); got.Moved != 0 || got.Open != 0 || got.Newest != -1 {
		t.Error(got)
	}
	if got, open := look(0, connection("192.0.2.1:5000", 10, true)); got.Moved != 11 || got.Open != 1 || open[0].Age != 0 {
		t.Error(got, open)
	}
	got, open := look(9*time.Second, connection("192.0.2.1:5000", 10, true), connection("192.0.2.1:5001", 4, false))
	if got.Moved != 16 || got.Open != 1 || got.Newest != 0 || open[0].Age != 9 {
		t.Error("a short one that is over counts once", got, open)
	}
	if got, _ := look(9*time.Second, connection("192.0.2.1:5000", 10, true)); got.Moved != 16 || got.Newest != 9 {
		t.Error("the kernel forgot it: nothing moved", got)
	}
	if got, _ := look(9*time.Second, connection("192.0.2.1:5000", 3, true)); got.Moved != 20 {
		t.Error("another one of the same ports", got)
	}
	if cut := seen.Cut([]Connection{connection("192.0.2.1:5000", 0, true), connection("192.0.2.9:1", 0, true)}, began); len(cut) != 1 {
		t.Error(cut)
	}
	if got, open := look(9*time.Second, connection("192.0.2.1:5000", 3, true)); got.Open != 0 || len(open) != 0 {
		t.Error("it is cut", got)
	}
	if got, _ := look(cutFor, connection("192.0.2.1:5000", 3, true)); got.Open != 1 {
		t.Error("it was silent all the time, and is there", got)
	}
	if loads, _ := seen.Take([]Connection{connection("192.0.2.1:5000", 3, true)}, nil, began); len(loads) != 0 {
		t.Error("ended with its pod", loads)
	}
}

// attribute is one as the kernel writes it.
func attribute(kind uint16, data ...byte) []byte {
	length := 4 + len(data)
	head := []byte{byte(length), byte(length >> 8), byte(kind), byte(kind >> 8)}
	return append(append(head, data...), make([]byte, (4-length%4)%4)...)
}

func TestAConnectionIsReadAsTheKernelTellsIt(t *testing.T) {
	tuple := func(kind uint16, source, target [4]byte, from, to uint16) []byte {
		ip := slices.Concat(attribute(1, source[:]...), attribute(2, target[:]...))
		protocol := slices.Concat(attribute(1, 6), attribute(2, byte(from>>8), byte(from)), attribute(3, byte(to>>8), byte(to)))
		return attribute(kind|1<<15, slices.Concat(attribute(1|1<<15, ip...), attribute(2|1<<15, protocol...))...)
	}
	message := func(mark byte, state byte) []byte {
		return slices.Concat(
			[]byte{2, 0, 0, 0},
			tuple(1, [4]byte{192, 0, 2, 1}, [4]byte{10, 9, 1, 1}, 5000, 31000),
			tuple(2, [4]byte{10, 0, 1, 2}, [4]byte{192, 0, 2, 1}, 5432, 5000),
			attribute(4|1<<15, attribute(1|1<<15, attribute(1, state)...)...),
			attribute(8, 0x54, 0x50, 0x57, mark),
			attribute(9|1<<15, attribute(2, 0, 0, 0, 0, 0, 0, 1, 0)...),
			attribute(10|1<<15, attribute(2, 0, 0, 0, 0, 0, 0, 0, 44)...),
		)
	}
	if got, ours := parse(message(0x59, 3)); !ours || got != connection("192.0.2.1:5000", 300, true) {
		t.Error(got, ours)
	}
	if got, ours := parse(message(0x59, tcpTimeWait)); !ours || got.Open {
		t.Error(got, ours)
	}
	if got, ours := parse(message(0x58, 3)); ours {
		t.Error("of another's mark", got)
	}
	whole := message(0x59, 3)
	for length := range whole {
		parse(whole[:length]) // never beyond what is there
	}
}
