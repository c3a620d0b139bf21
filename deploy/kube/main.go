// SPDX-License-Identifier: Apache-2.0

// Command kube is every part of a Kubernetes node and control plane in one binary.
//
// The first argument chooses the component, the rest are that component's own
// flags: `kube kubelet --config=...`. One binary instead of eight saves about a
// gigabyte of disk and most of the build time, because the parts share nearly
// all of their code.
package main

import (
	"fmt"
	"os"
	"sort"
	"strings"
)

// components maps a name on the command line to the function that runs it.
// Each function returns the process exit code; none of them returns early.
var components = map[string]func(args []string) int{
	"etcd":                    runEtcd,
	"kube-apiserver":          runAPIServer,
	"kube-controller-manager": runControllerManager,
	"kube-scheduler":          runScheduler,
	"kubelet":                 runKubelet,
	"kube-proxy":              runProxy,
	"coredns":                 runCoreDNS,
	"kubectl":                 runKubectl,
}

func main() {
	if len(os.Args) < 2 {
		usage("which component?")
	}
	run, known := components[os.Args[1]]
	if !known {
		usage(fmt.Sprintf("unknown component %q", os.Args[1]))
	}
	os.Args = os.Args[1:]
	os.Exit(run(os.Args))
}

func usage(problem string) {
	names := make([]string, 0, len(components))
	for name := range components {
		names = append(names, name)
	}
	sort.Strings(names)
	fmt.Fprintf(os.Stderr, "kube: %s\nusage: kube %s [flags]\n", problem, strings.Join(names, "|"))
	os.Exit(2)
}
