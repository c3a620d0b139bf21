// SPDX-License-Identifier: Apache-2.0

// Command tunnel makes encrypted links between nodes of networks, each a WireGuard device in a node's own network
// namespace (package device). It is told what there is to be over a unix socket, all of it at each call
// (provider/cluster/networks/tunnel_door.py), and goes on with that until the next; where pods' namespaces are stands in
// the policy agent's file of this node's pods:
//
//	tunnel -socket PATH -pods FILE
//
// Without a socket it holds one device as its input says, and prints `ready`:
//
//	tunnel -namespace /run/netns/NAME < config.json
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"

	"trustedpods.dev/tunnel/device"
)

// maxConfig bounds what is read of one device: each of 64 peers and ports takes some 200 bytes.
const maxConfig = 64 * 1024

func main() {
	log.SetFlags(log.Lmsgprefix)
	namespace := flag.String("namespace", "", "the network namespace of the one device, as a path")
	socket := flag.String("socket", "", "where the provider's daemon says what there is to be")
	pods := flag.String("pods", "", "the policy agent's file of this node's pods")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if *socket != "" {
		kept := newKept(*pods)
		if err := listen(*socket, kept); err != nil {
			log.Fatal(err)
		}
		kept.run(ctx)
		return
	}
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
	<-ctx.Done()
}
