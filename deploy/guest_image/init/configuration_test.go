// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

func configurationDisk(mark string, size uint64, text string) []byte {
	return append(binary.BigEndian.AppendUint64([]byte(mark), size), text...)
}

func TestTheConfigurationIsTheTextBehindItsMarkAndItsLength(t *testing.T) {
	longest := `{"a":"` + strings.Repeat("b", configurationMost-8) + `"}`
	for _, text := range []string{`{}`, `{"domain": "é.example"}`, longest} {
		disk := configurationDisk(configurationMark, uint64(len(text)), text+"\x00\xff what the disk has behind it")
		if found, err := readConfiguration(bytes.NewReader(disk)); err != nil || string(found) != text {
			t.Errorf("%.40q: %.40q, %v", text, found, err)
		}
	}
}

func TestAnyOtherConfigurationIsRefused(t *testing.T) {
	long := `{"a":"` + strings.Repeat("b", configurationMost) + `"}`
	for name, disk := range map[string][]byte{
		"nothing":            {},
		"zeros":              make([]byte, 4096),
		"a mark alone":       []byte(configurationMark),
		"another mark":       configurationDisk("TPCONF2\n", 2, "{}"),
		"no text":            configurationDisk(configurationMark, 0, "{}"),
		"cut off":            configurationDisk(configurationMark, 3, "{}"),
		"too long":           configurationDisk(configurationMark, uint64(len(long)), long),
		"all that there is":  configurationDisk(configurationMark, 1<<64-1, "{}"),
		"no JSON":            configurationDisk(configurationMark, 2, "{]"),
		"a list":             configurationDisk(configurationMark, 2, "[]"),
		"a space before it":  configurationDisk(configurationMark, 3, " {}"),
		"two objects":        configurationDisk(configurationMark, 4, "{}{}"),
		"an end of a string": configurationDisk(configurationMark, 3, "{}\x00"),
		"not UTF-8":          configurationDisk(configurationMark, 9, "{\"a\":\"\xff\"}"),
		"a length the other way round": append(
			binary.LittleEndian.AppendUint64([]byte(configurationMark), 2), "{}"...),
	} {
		if text, err := readConfiguration(bytes.NewReader(disk)); err == nil {
			t.Errorf("%s: %q was taken", name, text)
		}
	}
}

func FuzzReadConfiguration(f *testing.F) {
	f.Add(configurationDisk(configurationMark, 2, "{}"))
	f.Add(configurationDisk(configurationMark, 1<<63, "{}"))
	f.Fuzz(func(t *testing.T, disk []byte) {
		text, err := readConfiguration(bytes.NewReader(disk))
		if err != nil && text != nil {
			t.Error("a text beside an error")
		}
		if err == nil && (len(text) == 0 || len(text) > configurationMost || !bytes.Contains(disk, text)) {
			t.Errorf("%d bytes were taken of a disk of %d", len(text), len(disk))
		}
	})
}
