// SPDX-License-Identifier: Apache-2.0

// Command tunnel holds one node's end of encrypted links to others, until it is told to end:
//
//	tunnel -namespace /run/netns/NAME < config.json
//
// It says `ready` once packets pass, or ends with code 1 and what is wrong. SIGUSR1 makes it print how many
// seconds ago each peer was heard, -1 for never.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
	"time"

	"trustedpods.dev/tunnel/device"
)

// maxConfig bounds what is read: each of 64 peers and ports takes some 200 bytes.
const maxConfig = 64 * 1024

func main() {
	log.SetFlags(log.Lmsgprefix)
	namespace := flag.String("namespace", "", "the network namespace, as a path")
	flag.Parse()
	ended := make(chan os.Signal, 1)
	signal.Notify(ended, syscall.SIGTERM, syscall.SIGINT, syscall.SIGUSR1)

	data, err := io.ReadAll(io.LimitReader(os.Stdin, maxConfig))
	if err != nil {
		log.Fatal(err)
	}
	config, err := device.Parse(data)
	if err != nil {
		log.Fatalf("the configuration: %v", err)
	}
	made, err := device.Open(*namespace, config)
	if err != nil {
		log.Fatal(err)
	}
	defer made.Close()
	fmt.Println("ready")
	for one := range ended {
		if one != syscall.SIGUSR1 {
			return
		}
		tell(made)
	}
}

func tell(made *device.Device) {
	heard, err := made.Heard()
	if err != nil {
		log.Print(err)
		return
	}
	ago := map[string]int{}
	for node, at := range heard {
		ago[node] = -1
		if !at.IsZero() {
			ago[node] = int(time.Since(at).Seconds())
		}
	}
	_ = json.NewEncoder(os.Stdout).Encode(ago)
}
