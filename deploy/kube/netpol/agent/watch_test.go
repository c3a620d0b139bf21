// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/cache"
)

// Whoever may ask this agent gets nothing frozen but what the provider's daemon runs for others.
func TestOnlyTheProvidersPodsOfThisNodeMayBeFrozen(t *testing.T) {
	now := metav1.Now()
	ours := map[string]string{podLabel: "shop"}
	for name, one := range map[string]struct {
		pod corev1.Pod
		may bool
	}{
		"ours":      {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: ours}}, true},
		"system":    {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system"}}, false},
		"deleted":   {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: ours, DeletionTimestamp: &now}}, false},
		"elsewhere": {corev1.Pod{ObjectMeta: metav1.ObjectMeta{Labels: ours}, Spec: corev1.PodSpec{NodeName: "n2"}}, false},
	} {
		pod := one.pod
		pod.UID, pod.Status.Phase = "u", corev1.PodRunning
		if pod.Spec.NodeName == "" {
			pod.Spec.NodeName = "n1"
		}
		seen := seeing(t, &pod)
		if seen.mayFreeze("u") != one.may || seen.mayFreeze("another") {
			t.Error(name)
		}
	}
}

func TestWhatAPodHasAwakeIsWhatTheDaemonNoted(t *testing.T) {
	for note, milli := range map[string]uint64{
		`{"a": 100, "b": 250}`: 350, "": 0, "{}": 0, "[1]": 0, `{"a": -1}`: 0, `{"a": "1"}`: 0, `{"a": 1e12}`: 0,
	} {
		pod := corev1.Pod{ObjectMeta: metav1.ObjectMeta{
			UID: "u", Labels: map[string]string{podLabel: "shop"}, Annotations: map[string]string{awakeCPU: note, "other": "x"},
		}}
		pod.Spec.NodeName, pod.Status.Phase = "n1", corev1.PodRunning
		seen := seeing(t, &pod)
		if found := seen.awakeMilli("u"); found != milli || seen.awakeMilli("another") != 0 {
			t.Error(note, found)
		}
	}
}

// What somebody ends is known of what is kept of a pod: it must not stay frozen.
func TestWhoeverEndsAPodItIsSeen(t *testing.T) {
	now := metav1.Now()
	disrupted := corev1.PodCondition{Type: corev1.DisruptionTarget, Status: corev1.ConditionTrue}
	ready := corev1.PodCondition{Type: corev1.PodReady, Status: corev1.ConditionTrue}
	for name, one := range map[string]struct {
		pod  corev1.Pod
		ends bool
	}{
		"runs":    {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{ready}}}, false},
		"deleted": {corev1.Pod{ObjectMeta: metav1.ObjectMeta{DeletionTimestamp: &now}}, true},
		"evicted": {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{ready, disrupted}}}, true},
		"failed":  {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodFailed}}, true},
		"over":    {corev1.Pod{Status: corev1.PodStatus{Phase: corev1.PodSucceeded}}, true},
	} {
		kept, err := lean(&one.pod)
		if err != nil {
			t.Fatal(err)
		}
		told := 0
		seen := &cluster{}
		count := func(string) { told++ }
		seen.end(kept) // nobody listens yet
		seen.ended.Store(&count)
		seen.end(kept)
		if pod, ok := kept.(*corev1.Pod); !ok || ends(pod) != one.ends || (told == 1) != one.ends {
			t.Errorf("%s: ends %v, told %d", name, !one.ends, told)
		}
	}
}

// seeing is what the agent of node n1 knows of one pod.
func seeing(t *testing.T, pod *corev1.Pod) *cluster {
	t.Helper()
	kept, err := lean(pod)
	if err != nil {
		t.Fatal(err)
	}
	seen := &cluster{node: "n1", byUID: cache.NewIndexer(cache.MetaNamespaceKeyFunc, uids)}
	if err := seen.byUID.Add(kept); err != nil {
		t.Fatal(err)
	}
	return seen
}
