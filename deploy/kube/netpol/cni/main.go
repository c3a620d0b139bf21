// SPDX-License-Identifier: Apache-2.0

// Command netpol-cni is a chained CNI plugin: it tells the node's policy agent which address a new pod
// got, and lets the pod start only when the agent has the pod's policies in the kernel. It changes
// nothing itself. It is a program of its own, on the standard library, because it runs at every start
// and end of a pod and must cost milliseconds.
package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"time"
)

const (
	// supported is the answer to the command VERSION.
	supported = `{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0"]}`
	// waitForAgent bridges a restart of the agent, so that no pod's start fails for it.
	waitForAgent = 5 * time.Second
	// answerLimit is longer than the agent takes for a full node; the kubelet tries again anyway.
	answerLimit = 15 * time.Second
	// tryAgain is CNI's code for a failure that passes.
	tryAgain = 11
)

// config is what this plugin reads of its configuration on stdin.
type config struct {
	Version string `json:"cniVersion"`
	Socket  string `json:"socket"`
	Prev    *struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	} `json:"prevResult"`
}

// call is one line to the agent; its answer is one line, `ok` or what is wrong.
type call struct {
	Verb      string `json:"verb"`
	UID       string `json:"uid"`
	Namespace string `json:"namespace"`
	Pod       string `json:"pod"`
	Container string `json:"container"`
	Address   string `json:"address"`
	NetNS     string `json:"netns"`
}

func main() {
	command := os.Getenv("CNI_COMMAND")
	if command == "VERSION" {
		fmt.Println(supported)
		return
	}
	input, err := io.ReadAll(os.Stdin)
	if err != nil {
		fail("0.4.0", err)
	}
	var conf config
	if err := json.Unmarshal(input, &conf); err != nil {
		fail("0.4.0", err)
	}
	switch command {
	case "ADD":
		if err := tell(conf.Socket, describe("add", &conf), waitForAgent); err != nil {
			fail(conf.Version, fmt.Errorf("the network policy agent did not take the pod: %w", err))
		}
		passOn(input)
	case "DEL":
		// An agent that is away learns of the end from the API server.
		_ = tell(conf.Socket, describe("del", &conf), 0)
	}
}

// describe names the pod, by what the runtime says of it and the address that it got.
func describe(verb string, conf *config) call {
	made := call{Verb: verb, Container: os.Getenv("CNI_CONTAINERID"), NetNS: os.Getenv("CNI_NETNS")}
	for _, pair := range strings.Split(os.Getenv("CNI_ARGS"), ";") {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "K8S_POD_NAMESPACE":
			made.Namespace = value
		case "K8S_POD_NAME":
			made.Pod = value
		case "K8S_POD_UID":
			made.UID = value
		}
	}
	if conf.Prev != nil {
		for _, ip := range conf.Prev.IPs {
			if address, _, _ := strings.Cut(ip.Address, "/"); !strings.Contains(address, ":") {
				made.Address = address
			}
		}
	}
	return made
}

// tell asks the agent, waiting at most *patience* for it to listen.
func tell(socket string, said call, patience time.Duration) error {
	deadline := time.Now().Add(patience)
	connection, err := net.Dial("unix", socket)
	for err != nil && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
		connection, err = net.Dial("unix", socket)
	}
	if err != nil {
		return err
	}
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	if err := json.NewEncoder(connection).Encode(said); err != nil {
		return err
	}
	answer, err := io.ReadAll(connection)
	if err != nil {
		return err
	}
	if text := strings.TrimSpace(string(answer)); text != "ok" {
		return fmt.Errorf("it says: %s", text)
	}
	return nil
}

// passOn prints the result of the plugin before, unchanged.
func passOn(input []byte) {
	var conf struct {
		Prev json.RawMessage `json:"prevResult"`
	}
	if err := json.Unmarshal(input, &conf); err == nil {
		os.Stdout.Write(conf.Prev)
	}
}

func fail(version string, err error) {
	words := map[string]any{"cniVersion": version, "code": tryAgain, "msg": err.Error()}
	_ = json.NewEncoder(os.Stdout).Encode(words)
	os.Exit(1)
}
