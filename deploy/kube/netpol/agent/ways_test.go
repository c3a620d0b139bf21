// SPDX-License-Identifier: Apache-2.0

package main

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/labels"

	"trustedpods.dev/kube/netpol/ways"
)

// What is led stands in the same transaction as the policies, and an agent that is started again remembers it.
func TestWhatIsLedIsJudgedWithThePolicies(t *testing.T) {
	state := filepath.Join(t.TempDir(), "pods.json")
	opened, err := openLed("31000-31063", state)
	if err != nil {
		t.Fatal(err)
	}
	agent := &agent{led: opened}
	now := time.Now()
	step := func(world ...string) (string, []string) {
		t.Helper()
		seen := worldOf(world...)
		script, kernel, err := agent.lead(seen, now)
		if err != nil {
			t.Fatal(err)
		}
		agent.led.kernel = kernel
		return script, seen.Led
	}
	step("u1")
	way := ways.Way{Port: 31000, Pod: "p", Address: netip.MustParseAddr("10.0.1.2"), Target: 7000, Most: 5}
	wanted := ways.Wanted{Ways: []ways.Way{way}, Owners: map[uint16]string{31000: "p"}, PerSource: 9, Seconds: 30}
	if err := agent.led.book.Take(wanted, now); err != nil {
		t.Fatal(err)
	}
	script, led := step("u1")
	if !strings.Contains(script, "31000 : 10.0.1.2 . 7000") || !slices.Equal(led, []string{"31000 . 10.0.1.2 . 7000"}) {
		t.Error(script, led)
	}
	if agent.led, err = openLed("31000-31063", state); err != nil {
		t.Fatal(err)
	}
	script, led = step("u1")
	if strings.Contains(script, "add element ip trustedpods-facade targets") || len(led) != 1 {
		t.Error("what is open goes on, and nothing new is led", script, led)
	}
	if script, led = step(); len(led) != 0 || !strings.Contains(script, "flush set ip trustedpods-facade reached") {
		t.Error("the pod is gone", script, led)
	}
}

func TestAFileThatMakesNoSenseStopsNoAgent(t *testing.T) {
	state := filepath.Join(t.TempDir(), "pods.json")
	for _, text := range []string{"", "\x00\x00", `{"reached":[{"port":31000,"pod":"p","address":"x"}]}`} {
		if err := os.WriteFile(state+".ways", []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := openLed("31000-31063", state)
		if err != nil || len(opened.book.Reached) != 0 {
			t.Error(text, err)
		}
	}
}

func TestOnlyTheProvidersPodsOfThisNodeAreLedTo(t *testing.T) {
	world := worldOf("ours", "elsewhere", "cluster", "ends")
	world.Pods[1].Local = false
	world.Pods[2].Labels = labels.Set{}
	world.Pods[3].Ends = true
	found := ledPods(world)
	if len(found) != 2 || found[0].Ends || !found[1].Ends || found[0].Label != "p" {
		t.Error(found)
	}
}

func TestWithoutPortsNothingIsLed(t *testing.T) {
	if _, err := openLed("", "x"); err == nil {
		t.Error("no ports")
	}
	agent := &agent{}
	if script, _, err := agent.lead(worldOf("u1"), time.Now()); script != "" || err != nil {
		t.Error(script, err)
	}
}
