// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"testing"
)

var (
	digest = strings.Repeat("0a", 32)
	salt   = strings.Repeat("b1", 32)
	image  = "panic=1 rdinit=/init " + rootWord + digest + ":" + salt + ":42"
)

func TestOnlyTheImagesOwnCommandLineIsAccepted(t *testing.T) {
	for _, given := range []string{image, image + "\n", image + consoleWords, image + consoleWords + "\n",
		image + firmwareWords, image + consoleWords + firmwareWords} {
		if line, err := acceptedLine(given, image); err != nil || line != image {
			t.Errorf("%q: %q, %v", given, line, err)
		}
	}
	for _, given := range []string{
		"", image + " ", " " + image, image + " quiet", strings.Replace(image, "panic=1", "panic=0", 1),
		image + consoleWords + " init=/bin/sh", image + consoleWords + consoleWords, image + firmwareWords + firmwareWords,
		image + firmwareWords + consoleWords, strings.ToUpper(image),
	} {
		if _, err := acceptedLine(given, image); err == nil {
			t.Errorf("%q was accepted", given)
		}
	}
}

func TestTheRootIsNamedOnceAndInOneForm(t *testing.T) {
	root, err := rootOf(image)
	if err != nil || root != (verityRoot{digest, salt, 42}) {
		t.Fatal(root, err)
	}
	for _, value := range []string{
		"", digest, digest + ":" + salt, digest + ":" + salt + ":", digest + ":" + salt + ":0", digest + ":" + salt + ":042",
		digest + ":" + salt + ":-1", digest + ":" + salt + ":+1", digest + ":" + salt + ":1:1", digest[2:] + ":" + salt + ":1",
		strings.ToUpper(digest) + ":" + salt + ":1", digest + ":" + salt[:62] + "zz:1", digest + ":" + salt + ":99999999999999",
	} {
		if root, err := rootOf("a " + rootWord + value); err == nil {
			t.Errorf("%q was taken for %v", value, root)
		}
	}
	for _, line := range []string{"", "panic=1", image + " " + rootWord + digest + ":" + salt + ":42"} {
		if _, err := rootOf(line); err == nil {
			t.Errorf("%q names one root", line)
		}
	}
}
