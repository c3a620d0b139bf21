// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// consoleWords may stand behind the image's own command line: the kernel then writes its log, and what programs say, to
// the serial port. It has no driver that reads that port. The measurement of such a machine is another one.
const consoleWords = " earlyprintk=serial,ttyS0,115200,keep console=ttyprintk"

// firmwareWords are put behind all others by OVMF, where it is what starts the kernel.
const firmwareWords = " initrd=initrd"

// rootWord begins the word that says which root is the image's.
const rootWord = "trustedpods.root="

// verityRoot is what dm-verity must know: hash and salt (hexadecimal), and the number of data blocks.
type verityRoot struct {
	digest, salt string
	blocks       uint64
}

// acceptedLine is the command line that the kernel was given, if it is the image's to the letter.
//
// The measurement covers it on SEV-SNP and TDX; a machine that measures nothing stops here.
func acceptedLine(given, expected string) (string, error) {
	given = strings.TrimSuffix(strings.TrimSuffix(given, "\n"), firmwareWords)
	if given == expected || given == expected+consoleWords {
		return expected, nil
	}
	return "", fmt.Errorf("the command line is not the image's")
}

// rootOf is the root that an accepted command line names: `trustedpods.root=DIGEST:SALT:BLOCKS`, once, in one form.
func rootOf(line string) (verityRoot, error) {
	var found []string
	for _, word := range strings.Fields(line) {
		if value, ok := strings.CutPrefix(word, rootWord); ok {
			found = append(found, value)
		}
	}
	if len(found) != 1 {
		return verityRoot{}, fmt.Errorf("the command line names %d roots, not one", len(found))
	}
	parts := strings.Split(found[0], ":")
	if len(parts) != 3 || !isDigest(parts[0]) || !isDigest(parts[1]) {
		return verityRoot{}, fmt.Errorf("the root on the command line is malformed")
	}
	blocks, err := strconv.ParseUint(parts[2], 10, 40)
	if err != nil || blocks == 0 || strconv.FormatUint(blocks, 10) != parts[2] {
		return verityRoot{}, fmt.Errorf("the root on the command line has no number of blocks")
	}
	return verityRoot{parts[0], parts[1], blocks}, nil
}

func isDigest(text string) bool {
	data, err := hex.DecodeString(text)
	return err == nil && len(data) == 32 && text == strings.ToLower(text)
}
