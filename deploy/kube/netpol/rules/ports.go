// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// accepts returns the lines that let a match through on the rule's ports; no ports: on all, of any
// protocol. *pod* is the one that the policy isolates: towards it a port's name means its own ports,
// away from it those of the peers.
func (c *compiler) accepts(m match, ports []netv1.NetworkPolicyPort, pod *Pod, d direction) []string {
	if len(ports) == 0 {
		return []string{m.text + "accept"}
	}
	var lines []string
	for _, port := range ports {
		protocol := protocolOf(port.Protocol)
		switch {
		case port.Port == nil:
			lines = append(lines, fmt.Sprintf("%smeta l4proto %s accept", m.text, protocol))
		case port.Port.Type == intstr.Int:
			lines = append(lines, m.text+onPort(protocol, numbers(port))+" accept")
		case d == in:
			for _, number := range named(pod, port.Port.StrVal, protocol) {
				lines = append(lines, m.text+onPort(protocol, fmt.Sprint(number))+" accept")
			}
		default:
			lines = append(lines, c.acceptsNamed(m.pods, port.Port.StrVal, protocol)...)
		}
	}
	return lines
}

// acceptsNamed lets through to each pod the number that the name has there.
func (c *compiler) acceptsNamed(peers []*Pod, name, protocol string) []string {
	byNumber := map[int32][]*Pod{}
	for _, peer := range peers {
		for _, number := range named(peer, name, protocol) {
			byNumber[number] = append(byNumber[number], peer)
		}
	}
	lines := make([]string, 0, len(byNumber))
	for number, pods := range byNumber {
		lines = append(lines, c.inSet(out, pods)+onPort(protocol, fmt.Sprint(number))+" accept")
	}
	return lines
}

// onPort matches the port that a connection reached, which is where its replies come from.
func onPort(protocol, numbers string) string {
	return fmt.Sprintf("meta l4proto %s ct reply proto-src %s", protocol, numbers)
}

func numbers(port netv1.NetworkPolicyPort) string {
	first := port.Port.IntVal
	if port.EndPort != nil && *port.EndPort > first {
		return fmt.Sprintf("%d-%d", first, *port.EndPort)
	}
	return fmt.Sprint(first)
}

// named returns the numbers of the pod's ports of that name and protocol, each once.
func named(pod *Pod, name, protocol string) []int32 {
	var found []int32
	for _, port := range pod.Ports {
		if port.Name == name && protocolOf(&port.Protocol) == protocol {
			found = append(found, port.ContainerPort)
		}
	}
	slices.SortFunc(found, cmp.Compare[int32])
	return slices.Compact(found)
}

// protocolOf is the protocol in nftables' word; TCP where none is given.
func protocolOf(protocol *corev1.Protocol) string {
	if protocol == nil || *protocol == "" {
		return "tcp"
	}
	return strings.ToLower(string(*protocol))
}
