// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/informers"
	"k8s.io/client-go/kubernetes"
	core "k8s.io/client-go/listers/core/v1"
	networking "k8s.io/client-go/listers/networking/v1"
	"k8s.io/client-go/tools/cache"

	"trustedpods.dev/kube/netpol/rules"
)

// fetchLimit is for one question to the API server about a pod that the watch has not shown yet.
const fetchLimit = 5 * time.Second

const uidIndex = "uid"

// podLabel is what the provider's daemon gives each of its pods (provider/cluster/objects/names.py).
const podLabel = "trustedpods.dev/pod"

// awakeCPU is the annotation in which the daemon keeps what each container of such a pod has awake (there as well).
const awakeCPU = "trustedpods.dev/awake-cpu"

var uids = cache.Indexers{uidIndex: func(object any) ([]string, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return nil, nil
	}
	return []string{string(pod.UID)}, nil
}}

// cluster is what the API server shows, as it is now.
type cluster struct {
	node       string
	client     kubernetes.Interface
	pods       core.PodLister
	namespaces core.NamespaceLister
	policies   networking.NetworkPolicyLister
	byUID      cache.Indexer
	// ended is called with the uid of each pod that somebody ends, more than once.
	ended atomic.Pointer[func(uid string)]
	// wrongLimits is why the daemon's note of them cannot be read, as it was told last; the agent's loop has it.
	wrongLimits string
	// changed has a value when something is new.
	changed chan struct{}
}

// watch returns when everything has been listed once.
func watch(ctx context.Context, client kubernetes.Interface, node string) (*cluster, error) {
	factory := informers.NewSharedInformerFactoryWithOptions(client, 0, informers.WithTransform(lean))
	pods, namespaces := factory.Core().V1().Pods(), factory.Core().V1().Namespaces()
	policies := factory.Networking().V1().NetworkPolicies()
	seen := &cluster{
		node: node, client: client, changed: make(chan struct{}, 1),
		pods: pods.Lister(), namespaces: namespaces.Lister(), policies: policies.Lister(),
	}
	if err := pods.Informer().AddIndexers(uids); err != nil {
		return nil, err
	}
	seen.byUID = pods.Informer().GetIndexer()
	handler := cache.ResourceEventHandlerFuncs{
		AddFunc: func(any) { seen.wake() },
		UpdateFunc: func(_, now any) {
			seen.end(now)
			seen.wake()
		},
		DeleteFunc: func(any) { seen.wake() },
	}
	for _, informer := range []cache.SharedIndexInformer{pods.Informer(), namespaces.Informer(), policies.Informer()} {
		if _, err := informer.AddEventHandler(handler); err != nil {
			return nil, err
		}
	}
	factory.Start(ctx.Done())
	for kind, listed := range factory.WaitForCacheSync(ctx.Done()) {
		if !listed {
			return nil, fmt.Errorf("%v were not listed", kind)
		}
	}
	return seen, nil
}

// newestPolicy is the greatest resource version among the policies: they are numbers that only grow.
func (c *cluster) newestPolicy() uint64 {
	all, err := c.policies.List(labels.Everything())
	if err != nil {
		return 0
	}
	newest := uint64(0)
	for _, policy := range all {
		if version, err := strconv.ParseUint(policy.ResourceVersion, 10, 64); err == nil {
			newest = max(newest, version)
		}
	}
	return newest
}

// end tells of a pod that somebody ends.
func (c *cluster) end(object any) {
	tell := c.ended.Load()
	if pod, ok := object.(*corev1.Pod); ok && tell != nil && ends(pod) {
		(*tell)(string(pod.UID))
	}
}

func (c *cluster) wake() {
	select {
	case c.changed <- struct{}{}:
	default:
	}
}

// lean drops of a pod what no policy looks at: a node's worth of pods should cost little memory.
func lean(object any) (any, error) {
	pod, ok := object.(*corev1.Pod)
	if !ok {
		return object, nil
	}
	kept := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{
		Name: pod.Name, Namespace: pod.Namespace, UID: pod.UID, Labels: pod.Labels,
		ResourceVersion: pod.ResourceVersion, DeletionTimestamp: pod.DeletionTimestamp,
	}}
	if note, noted := pod.Annotations[awakeCPU]; noted {
		kept.Annotations = map[string]string{awakeCPU: note}
	}
	kept.Spec.NodeName, kept.Spec.HostNetwork = pod.Spec.NodeName, pod.Spec.HostNetwork
	for _, container := range append(append([]corev1.Container{}, pod.Spec.InitContainers...), pod.Spec.Containers...) {
		kept.Spec.Containers = append(kept.Spec.Containers, corev1.Container{Ports: container.Ports})
	}
	kept.Status.Phase, kept.Status.PodIPs = pod.Status.Phase, pod.Status.PodIPs
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget {
			kept.Status.Conditions = append(kept.Status.Conditions, condition)
		}
	}
	return kept, nil
}

// find is a pod by name, from what was watched or else from the API server itself. Its uid must be
// the one given, if one is.
func (c *cluster) find(namespace, name, uid string) (*corev1.Pod, error) {
	pod, err := c.pods.Pods(namespace).Get(name)
	if err == nil && (uid == "" || string(pod.UID) == uid) {
		return pod, nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), fetchLimit)
	defer cancel()
	pod, err = c.client.CoreV1().Pods(namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return nil, fmt.Errorf("pod %s/%s: %w", namespace, name, err)
	}
	if uid != "" && string(pod.UID) != uid {
		return nil, fmt.Errorf("pod %s/%s is another one now", namespace, name)
	}
	return pod, nil
}

// ends says whether somebody ends the pod: the API server, or the kubelet of its own.
func ends(pod *corev1.Pod) bool {
	for _, condition := range pod.Status.Conditions {
		if condition.Type == corev1.DisruptionTarget && condition.Status == corev1.ConditionTrue {
			return true
		}
	}
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return over || pod.DeletionTimestamp != nil
}

// mayFreeze says whether it is one of the provider's pods on this node, runs, and nobody ends it. No part of the
// cluster's own is frozen, whoever asks.
func (c *cluster) mayFreeze(uid string) bool { return c.mine(uid) != nil }

// mine is a pod of the provider's on this node that runs, and that nobody ends; nil: there is none.
func (c *cluster) mine(uid string) *corev1.Pod {
	found, err := c.byUID.ByIndex(uidIndex, uid)
	if err != nil || len(found) != 1 {
		return nil
	}
	pod, ok := found[0].(*corev1.Pod)
	if !ok || pod.Labels[podLabel] == "" || pod.Spec.NodeName != c.node {
		return nil
	}
	if pod.Status.Phase != corev1.PodRunning || ends(pod) {
		return nil
	}
	return pod
}

// awakeMilli is what CPU a pod that has once lent it has awake, as the provider's daemon noted it, in thousandths of
// a core; 0 for all others.
func (c *cluster) awakeMilli(uid string) uint64 {
	pod := c.mine(uid)
	if pod == nil {
		return 0
	}
	containers, milli := map[string]uint32{}, uint64(0)
	if json.Unmarshal([]byte(pod.Annotations[awakeCPU]), &containers) != nil {
		return 0
	}
	for _, one := range containers {
		milli += uint64(one)
	}
	return milli
}

// hasAddress says whether policies concern the pod: on its node's network, or over, they do not.
func hasAddress(pod *corev1.Pod) bool {
	over := pod.Status.Phase == corev1.PodSucceeded || pod.Status.Phase == corev1.PodFailed
	return !pod.Spec.HostNetwork && !over
}

// reported is the pod's IPv4 address in its status.
func reported(pod *corev1.Pod) (netip.Addr, bool) {
	for _, ip := range pod.Status.PodIPs {
		if address, err := netip.ParseAddr(ip.IP); err == nil && address.Is4() {
			return address, true
		}
	}
	return netip.Addr{}, false
}

func describe(pod *corev1.Pod, address netip.Addr, local bool) rules.Pod {
	described := rules.Pod{
		UID: string(pod.UID), Namespace: pod.Namespace, Name: pod.Name,
		Address: address, Local: local, Labels: pod.Labels, Ends: ends(pod),
	}
	for _, container := range pod.Spec.Containers {
		described.Ports = append(described.Ports, container.Ports...)
	}
	return described
}

// world is the cluster's part of what decides: labels and policies.
func (c *cluster) world(network netip.Prefix) (*rules.World, []*corev1.Pod) {
	world := &rules.World{Namespaces: map[string]labels.Set{}, PodNetwork: network}
	// A lister over its own cache has no error to tell.
	namespaces, _ := c.namespaces.List(labels.Everything())
	for _, namespace := range namespaces {
		world.Namespaces[namespace.Name] = namespace.Labels
	}
	world.Policies, _ = c.policies.List(labels.Everything())
	pods, _ := c.pods.List(labels.Everything())
	return world, pods
}
