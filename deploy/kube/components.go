// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"

	"github.com/coredns/coredns/core/dnsserver"
	"github.com/coredns/coredns/coremain"
	_ "github.com/coredns/coredns/plugin/bind"
	_ "github.com/coredns/coredns/plugin/cache"
	_ "github.com/coredns/coredns/plugin/errors"
	_ "github.com/coredns/coredns/plugin/kubernetes"
	_ "github.com/coredns/coredns/plugin/ready"
	"go.etcd.io/etcd/server/v3/etcdmain"
	"k8s.io/component-base/cli"
	_ "k8s.io/component-base/metrics/prometheus/clientgo"
	_ "k8s.io/component-base/metrics/prometheus/version"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// dnsDirectives is the order in which CoreDNS runs its plugins. It lists only
// what the cluster's Corefile uses, so that nothing else is linked in.
var dnsDirectives = []string{"bind", "errors", "ready", "cache", "kubernetes"}

func runAPIServer([]string) int         { return cli.Run(apiserver.NewAPIServerCommand()) }
func runControllerManager([]string) int { return cli.Run(controllers.NewControllerManagerCommand()) }
func runScheduler([]string) int         { return cli.Run(scheduler.NewSchedulerCommand()) }
func runProxy([]string) int             { return cli.Run(proxy.NewProxyCommand()) }
func runKubectl([]string) int           { return cli.Run(kubectl.NewDefaultKubectlCommand()) }

func runKubelet([]string) int {
	return cli.Run(kubelet.NewKubeletCommand(context.Background()))
}

func runEtcd(args []string) int {
	etcdmain.Main(args) // exits the process itself on failure
	return 0
}

func runCoreDNS([]string) int {
	dnsserver.Directives = dnsDirectives
	coremain.Run()
	return 0
}
