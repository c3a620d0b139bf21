// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"unicode/utf8"
)

// The operator's configuration comes as raw bytes on a disk of its own: the mark, the number of bytes of the text
// (8 bytes, the greatest first), the text. Nothing mounts that disk: a file system of the host's would be parsed by
// the kernel. It is no part of the measurement. Evidence has a digest of its market, identity, prices, terms.
const (
	configurationSerial = "trustedpods-config"
	configurationMark   = "TPCONF1\n"
	configurationHead   = len(configurationMark) + 8
	configurationMost   = 64 << 10 // bytes: a page of text, and a key
	configurationFile   = "/run/trustedpods/configuration.json"
)

// readConfiguration is the text on a configuration disk: one JSON object, in UTF-8. What follows it is not read.
// Keys that stand there twice are refused by the supervisor, which is the only one that reads a meaning from it.
func readConfiguration(disk io.Reader) ([]byte, error) {
	head := make([]byte, configurationHead)
	if _, err := io.ReadFull(disk, head); err != nil {
		return nil, fmt.Errorf("the configuration disk is too short: %w", err)
	}
	if !bytes.HasPrefix(head, []byte(configurationMark)) {
		return nil, errors.New("the configuration disk does not begin with its mark")
	}
	size := binary.BigEndian.Uint64(head[len(configurationMark):])
	if size == 0 || size > configurationMost {
		return nil, fmt.Errorf("the configuration has %d bytes: from 1 to %d", size, configurationMost)
	}
	text := make([]byte, size)
	if _, err := io.ReadFull(disk, text); err != nil {
		return nil, fmt.Errorf("the configuration is cut off: %w", err)
	}
	if !utf8.Valid(text) || !json.Valid(text) || text[0] != '{' {
		return nil, errors.New("the configuration is no JSON object in UTF-8")
	}
	return text, nil
}

// takeConfiguration writes the configuration where the supervisor reads it, in memory; false where the host gave the
// machine no such disk. It is looked for once: disks are found before this program runs.
func takeConfiguration() (bool, error) {
	path, found := diskNow(configurationSerial)
	if !found {
		return false, nil
	}
	disk, err := os.Open(path)
	if err != nil {
		return false, err
	}
	defer disk.Close()
	text, err := readConfiguration(disk)
	if err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Dir(configurationFile), 0o700); err != nil {
		return false, err
	}
	return true, os.WriteFile(configurationFile, text, 0o400)
}
