// SPDX-License-Identifier: Apache-2.0

package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestAStoreOpensWithItsTokenAndKeepsToItsFolder(t *testing.T) {
	store := t.TempDir()
	for name, content := range map[string]string{"a": "one", ".token": "t0ken"} {
		if err := os.WriteFile(filepath.Join(store, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	right := map[string]string{"token": "t0ken"}
	found, err := open(store, map[string]string{"config": "a"}, right)
	if err != nil || string(found["config"]) != "one" {
		t.Fatalf("%v %v", found, err)
	}
	for _, wrong := range []map[string]string{nil, {"token": "x"}} {
		if _, err := open(store, nil, wrong); err == nil || !strings.Contains(err.Error(), "does not open") {
			t.Fatalf("%v: %v", wrong, err)
		}
	}
	for name, object := range map[string]string{"c": "../a", "../c": "a", "d": ".token", "e": "absent"} {
		if _, err := open(store, map[string]string{name: object}, right); err == nil {
			t.Fatalf("%s: %s was read", name, object)
		}
	}
}
