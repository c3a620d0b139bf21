// SPDX-License-Identifier: Apache-2.0

package traffic

import (
	"encoding/json"
	"fmt"
	"math/rand"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var (
	began = time.Unix(1_800_000_000, 0)
	one   = netip.MustParseAddr("10.0.1.2")
	two   = netip.MustParseAddr("10.0.1.3")
)

// machine is a kernel that understands the scripts: counters by name, and elements of two maps.
type machine struct {
	counters map[string]uint64
	elements map[string]string
}

func newMachine() *machine {
	return &machine{map[string]uint64{}, map[string]string{}}
}

// do applies a script as nft would, and is as strict.
func (m *machine) do(t *testing.T, script string) {
	t.Helper()
	for _, line := range strings.Split(strings.TrimSpace(script), "\n") {
		words := strings.Fields(line)
		switch {
		case line == "":
		case strings.HasPrefix(line, "add counter"):
			m.counters[words[4]] += 0
		case strings.HasPrefix(line, "add element"):
			key, name := words[4]+words[6], strings.Trim(words[8], `"`)
			if _, there := m.elements[key]; there {
				t.Fatalf("exists: %s", line)
			}
			if _, there := m.counters[name]; !there {
				t.Fatalf("no counter: %s", line)
			}
			m.elements[key] = name
		case strings.HasPrefix(line, "delete element"):
			if _, there := m.elements[words[4]+words[6]]; !there {
				t.Fatalf("not there: %s", line)
			}
			delete(m.elements, words[4]+words[6])
		case strings.HasPrefix(line, "delete counter"):
			for key, name := range m.elements {
				if name == words[4] {
					t.Fatalf("%s leads to it: %s", key, line)
				}
			}
			delete(m.counters, words[4])
		default:
			t.Fatalf("unknown: %s", line)
		}
	}
}

// pass sends a packet from or to an address.
func (m *machine) pass(way string, address netip.Addr, bytes uint64) {
	if name, counted := m.elements[way+address.String()]; counted {
		m.counters[name] += bytes
	}
}

// listing is what nft prints.
func (m *machine) listing(t *testing.T) Kernel {
	t.Helper()
	objects := []map[string]any{{"metainfo": map[string]any{"version": "1"}}}
	for name, bytes := range m.counters {
		objects = append(objects, map[string]any{"counter": map[string]any{"name": name, "packets": 1, "bytes": bytes}})
	}
	elements := [][]string{}
	for key, name := range m.elements {
		if address, of := strings.CutPrefix(key, "egress"); of {
			elements = append(elements, []string{address, name})
		}
	}
	objects = append(objects, map[string]any{"map": map[string]any{"name": "egress", "elem": elements}})
	data, err := json.Marshal(map[string]any{"nftables": objects})
	if err != nil {
		t.Fatal(err)
	}
	kernel, err := Parse(data)
	if err != nil {
		t.Fatal(err)
	}
	return kernel
}

func step(t *testing.T, l *Ledger, m *machine, now time.Time) {
	t.Helper()
	if l.Due(now) {
		l.Read(m.listing(t))
	}
	m.do(t, l.Script(now))
	l.Applied(now)
}

func TestAPodIsCountedFromItsStartToItsEnd(t *testing.T) {
	l, m := New(), newMachine()
	l.Start("u1", "ns", "web", "c1", one, began)
	step(t, l, m, began)
	m.pass("egress", one, 700)
	m.pass("ingress", one, 60)
	l.End("c1", began)
	step(t, l, m, began)
	m.pass("egress", one, 7) // its link lives a moment longer
	step(t, l, m, began.Add(Settle+2*time.Second))
	if got := l.Pods["u1"].Total; got != (Bytes{60, 707}) {
		t.Errorf("%+v", got)
	}
	if len(m.counters) != 0 || len(m.elements) != 0 {
		t.Errorf("left in the kernel: %+v", m)
	}
}

func TestAnAddressThatIsGivenOutAgainCountsForItsNewPod(t *testing.T) {
	l, m := New(), newMachine()
	l.Start("u1", "ns", "web", "c1", one, began)
	step(t, l, m, began)
	m.pass("egress", one, 100)
	l.Start("u2", "ns", "api", "c2", one, began)
	step(t, l, m, began)
	m.pass("egress", one, 5)
	l.Read(m.listing(t))
	if l.Pods["u1"].Total.Egress != 100 || l.Pods["u2"].Total.Egress != 5 || l.Pods["u1"].Ended == 0 {
		t.Errorf("%+v %+v", l.Pods["u1"], l.Pods["u2"])
	}
}

func TestANewSandboxOfTheSamePodCountsOn(t *testing.T) {
	l, m := New(), newMachine()
	l.Start("u1", "ns", "web", "c1", one, began)
	step(t, l, m, began)
	m.pass("egress", one, 100)
	l.Start("u1", "ns", "web", "c2", two, began)
	l.End("c1", began) // late, of the old sandbox
	step(t, l, m, began)
	m.pass("egress", two, 1)
	m.pass("egress", one, 50) // nobody's any more
	l.Read(m.listing(t))
	if got := l.Pods["u1"]; got.Total.Egress != 101 || got.Ended != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAnUnknownCounterIsRemoved(t *testing.T) {
	l, m := New(), newMachine()
	l.Start("u1", "ns", "web", "c1", one, began)
	step(t, l, m, began)
	fresh := New()
	fresh.Read(m.listing(t))
	step(t, fresh, m, began)
	if len(m.counters)+len(m.elements) != 0 {
		t.Errorf("%+v", m)
	}
}

// restart is what the agent's restart does to a ledger: to a file and back.
func restart(t *testing.T, l *Ledger) *Ledger {
	t.Helper()
	data, err := json.Marshal(l)
	if err != nil {
		t.Fatal(err)
	}
	again := New()
	if err := json.Unmarshal(data, again); err != nil {
		t.Fatal(err)
	}
	return again
}

// Whatever happens in whatever order, totals never shrink, never exceed what was sent, and after a
// reading they are what was sent, except for what a reboot took from the kernel unread.
func TestTotalsAreTrueAndNeverShrink(t *testing.T) {
	for seed := range 300 {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { life(t, rand.New(rand.NewSource(int64(seed)))) })
	}
}

func life(t *testing.T, random *rand.Rand) {
	l, m, now := New(), newMachine(), began
	sent, lost, told := map[string]uint64{}, map[string]uint64{}, map[string]uint64{}
	holder := map[netip.Addr]string{}
	unread := map[string]uint64{}
	for i := range 60 {
		now = now.Add(time.Duration(random.Intn(4)) * time.Second)
		address := []netip.Addr{one, two}[random.Intn(2)]
		switch random.Intn(7) {
		case 0:
			uid := fmt.Sprintf("u%d", i)
			l.Start(uid, "ns", uid, uid, address, now)
			holder[address] = uid
		case 1:
			l.End(holder[address], now)
			delete(holder, address)
		case 2, 3:
			if uid := holder[address]; uid != "" {
				m.pass("egress", address, uint64(i+1))
				sent[uid] += uint64(i + 1)
				unread[uid] += uint64(i + 1)
			}
		case 4:
			l = restart(t, l)
			l.Read(m.listing(t))
			unread = map[string]uint64{}
		case 5:
			m = newMachine() // a reboot: what was not read is lost, and only that
			l = restart(t, l)
			l.Read(m.listing(t))
			for uid, bytes := range unread {
				lost[uid] += bytes
			}
			unread = map[string]uint64{}
		case 6:
			l.Read(m.listing(t))
			unread = map[string]uint64{}
		}
		if l.Due(now) {
			unread = map[string]uint64{}
		}
		step(t, l, m, now)
		for uid, entry := range l.Pods {
			if entry.Total.Egress < told[uid] || entry.Total.Egress > sent[uid]-lost[uid] {
				t.Fatalf("step %d, %s: told %d, now %d, sent %d, lost %d", i, uid, told[uid], entry.Total.Egress, sent[uid], lost[uid])
			}
			told[uid] = entry.Total.Egress
		}
	}
	l.Read(m.listing(t))
	for uid, entry := range l.Pods {
		if entry.Total.Egress != sent[uid]-lost[uid] {
			t.Fatalf("%s: counted %d, sent %d, lost %d", uid, entry.Total.Egress, sent[uid], lost[uid])
		}
	}
}

func TestWhatEndedLongAgoIsForgotten(t *testing.T) {
	l := New()
	for i := range MaxEnded + 2 {
		l.Pods[fmt.Sprintf("u%d", i)] = &Entry{Ended: began.Unix() + int64(i)}
	}
	l.Pods["lives"] = &Entry{}
	l.Forget(began)
	if len(l.Pods) != MaxEnded+1 || l.Pods["u0"] != nil || l.Pods["u2"] == nil || l.Pods["lives"] == nil {
		t.Errorf("%d remembered", len(l.Pods))
	}
	l.Forget(began.Add(KeepEnded + 48*time.Hour))
	if len(l.Pods) != 1 {
		t.Errorf("%d remembered", len(l.Pods))
	}
}

func TestAListingThatIsNotOursIsRefused(t *testing.T) {
	for _, text := range []string{"", "{", `{"nftables":[{"map":{"name":"egress","elem":[["10.0.1.2","x"]]}}]}`} {
		if _, err := Parse([]byte(text)); err == nil {
			t.Errorf("%q was taken", text)
		}
	}
}
