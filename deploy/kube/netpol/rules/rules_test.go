// SPDX-License-Identifier: Apache-2.0

package rules

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	netv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

var everybody = metav1.LabelSelector{}

func labelled(key, value string) *metav1.LabelSelector {
	return &metav1.LabelSelector{MatchLabels: map[string]string{key: value}}
}

// town has two namespaces: in `a` web (.2) and api (.3), in `b` cli (.4) here and far (.9.1) elsewhere.
func town(policies ...*netv1.NetworkPolicy) *World {
	here := netip.MustParsePrefix("10.0.1.0/24")
	pod := func(namespace, name, address string, ports ...corev1.ContainerPort) Pod {
		at := netip.MustParseAddr(address)
		return Pod{
			Namespace: namespace, Name: name, Address: at, Local: here.Contains(at),
			Labels: labels.Set{"app": name}, Ports: ports,
		}
	}
	return &World{
		PodNetwork: here,
		Namespaces: map[string]labels.Set{"a": {"team": "a"}, "b": {"team": "b"}},
		Policies:   policies,
		Pods: []Pod{
			pod("a", "web", "10.0.1.2", corev1.ContainerPort{Name: "http", ContainerPort: 8080}),
			pod("a", "api", "10.0.1.3",
				corev1.ContainerPort{Name: "http", ContainerPort: 9090},
				corev1.ContainerPort{Name: "dns", ContainerPort: 53, Protocol: corev1.ProtocolUDP}),
			pod("b", "cli", "10.0.1.4"),
			pod("b", "far", "10.0.9.1", corev1.ContainerPort{Name: "http", ContainerPort: 7070}),
		},
	}
}

func policy(namespace string, selector metav1.LabelSelector) *netv1.NetworkPolicy {
	made := &netv1.NetworkPolicy{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "p"}}
	made.Spec.PodSelector = selector
	return made
}

func ingress(p *netv1.NetworkPolicy, rules ...netv1.NetworkPolicyIngressRule) *netv1.NetworkPolicy {
	p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, netv1.PolicyTypeIngress)
	p.Spec.Ingress = rules
	return p
}

func egress(p *netv1.NetworkPolicy, rules ...netv1.NetworkPolicyEgressRule) *netv1.NetworkPolicy {
	p.Spec.PolicyTypes = append(p.Spec.PolicyTypes, netv1.PolicyTypeEgress)
	p.Spec.Egress = rules
	return p
}

func port(protocol corev1.Protocol, value intstr.IntOrString, end int32) netv1.NetworkPolicyPort {
	made := netv1.NetworkPolicyPort{Protocol: &protocol, Port: &value}
	if end != 0 {
		made.EndPort = &end
	}
	return made
}

// linesOf are the lines that judge a pod in a direction; nil where no policy isolates it.
func linesOf(t *testing.T, world *World, name string, d direction) []string {
	t.Helper()
	c := newCompiler(world)
	for _, pod := range c.pods {
		if pod.Name == name {
			chain, isolated := c.chain(pod, d)
			if !isolated {
				return nil
			}
			return expand(c, c.chains[chain])
		}
	}
	t.Fatalf("no pod %s", name)
	return nil
}

// expand writes sets out, so that a test need not know their names.
func expand(c *compiler, lines []string) []string {
	found := slices.Clone(lines)
	for name, members := range c.sets {
		for i := range found {
			found[i] = strings.ReplaceAll(found[i], "@"+name, "{"+strings.Join(members, " ")+"}")
		}
	}
	return found
}

const denied = "counter drop"

func TestLines(t *testing.T) {
	http := intstr.FromString("http")
	cases := []struct {
		name  string
		world *World
		pod   string
		d     direction
		want  []string
	}{
		{"no policy: everything passes", town(), "web", in, nil},
		{"a policy of the other direction does not isolate", town(egress(policy("a", everybody))), "web", in, nil},
		{"a policy of another namespace does not isolate", town(ingress(policy("b", everybody))), "web", in, nil},
		{"a selector that does not match does not isolate", town(ingress(policy("a", *labelled("app", "api")))), "web", in, nil},
		{"no rule: nothing passes", town(ingress(policy("a", everybody))), "web", in, []string{denied}},
		{"an empty rule: everything passes", town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{})), "web", in, []string{"accept", denied}},
		{
			"podSelector means the policy's own namespace",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{PodSelector: &everybody}}})),
			"web", in, []string{"ct original ip saddr {10.0.1.2 10.0.1.3} accept", denied},
		},
		{
			"namespaceSelector means all pods of those namespaces, on other nodes too",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{NamespaceSelector: labelled("team", "b")}}})),
			"web", in, []string{"ct original ip saddr {10.0.1.4 10.0.9.1} accept", denied},
		},
		{
			"both selectors in one peer: both must match",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{NamespaceSelector: &everybody, PodSelector: labelled("app", "cli")}}})),
			"web", in, []string{"ct original ip saddr 10.0.1.4 accept", denied},
		},
		{
			"a peer that matches nobody lets nobody in",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{PodSelector: labelled("app", "none")}}})),
			"web", in, []string{denied},
		},
		{
			"ipBlock with except",
			town(egress(policy("a", everybody), netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "192.0.2.7/24", Except: []string{"192.0.2.8/30", "192.0.2.64/26"}}}}})),
			"web", out, []string{"ct reply ip saddr 192.0.2.0/24 ct reply ip saddr != 192.0.2.8/30 ct reply ip saddr != 192.0.2.64/26 accept", denied},
		},
		{
			"the whole world but for an exception",
			town(egress(policy("a", everybody), netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "0.0.0.0/0", Except: []string{"10.0.0.0/8"}}}}})),
			"web", out, []string{"ct reply ip saddr != 10.0.0.0/8 accept", denied},
		},
		{
			"an IPv6 block matches nothing",
			town(egress(policy("a", everybody), netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "::/0"}}}})),
			"web", out, []string{denied},
		},
		{
			"ports, ranges and protocols",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{Ports: []netv1.NetworkPolicyPort{
				port(corev1.ProtocolTCP, intstr.FromInt32(80), 0), port(corev1.ProtocolUDP, intstr.FromInt32(5000), 5010), port(corev1.ProtocolSCTP, intstr.FromInt32(36), 36),
			}})),
			"web", in, []string{
				"meta l4proto sctp ct reply proto-src 36 accept", "meta l4proto tcp ct reply proto-src 80 accept",
				"meta l4proto udp ct reply proto-src 5000-5010 accept", denied,
			},
		},
		{
			"a protocol without a port: all of its ports; TCP where nothing is said",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{Ports: []netv1.NetworkPolicyPort{{}}})),
			"web", in, []string{"meta l4proto tcp accept", denied},
		},
		{
			"inwards a port's name means the isolated pod's own",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{Ports: []netv1.NetworkPolicyPort{{Port: &http}}})),
			"api", in, []string{"meta l4proto tcp ct reply proto-src 9090 accept", denied},
		},
		{
			"outwards it means each peer's",
			town(egress(policy("b", everybody), netv1.NetworkPolicyEgressRule{To: []netv1.NetworkPolicyPeer{{NamespaceSelector: &everybody}}, Ports: []netv1.NetworkPolicyPort{{Port: &http}}})),
			"cli", out, []string{
				"ct reply ip saddr 10.0.1.2 meta l4proto tcp ct reply proto-src 8080 accept",
				"ct reply ip saddr 10.0.1.3 meta l4proto tcp ct reply proto-src 9090 accept",
				"ct reply ip saddr 10.0.9.1 meta l4proto tcp ct reply proto-src 7070 accept", denied,
			},
		},
		{
			"a name of another protocol is another port",
			town(ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{Ports: []netv1.NetworkPolicyPort{port(corev1.ProtocolTCP, intstr.FromString("dns"), 0)}})),
			"api", in, []string{denied},
		},
	}
	for _, test := range cases {
		t.Run(test.name, func(t *testing.T) {
			if got := linesOf(t, test.world, test.pod, test.d); !slices.Equal(got, test.want) {
				t.Errorf("got  %q\nwant %q", got, test.want)
			}
		})
	}
}

func TestPoliciesAddUp(t *testing.T) {
	one := ingress(policy("a", everybody), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{PodSelector: labelled("app", "api")}}})
	two := ingress(policy("a", *labelled("app", "web")), netv1.NetworkPolicyIngressRule{From: []netv1.NetworkPolicyPeer{{NamespaceSelector: labelled("team", "b"), PodSelector: labelled("app", "cli")}}})
	two.Name = "q"
	want := []string{"ct original ip saddr 10.0.1.3 accept", "ct original ip saddr 10.0.1.4 accept", denied}
	for _, world := range []*World{town(one, two), town(two, one)} {
		if got := linesOf(t, world, "web", in); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestPodsUnderTheSamePoliciesShareAChain(t *testing.T) {
	world := town(egress(ingress(policy("a", everybody))))
	text := Render(world)
	if n := strings.Count(text, " chain allow-"); n != 1 {
		t.Errorf("%d chains for one pair of equal pods:\n%s", n, text)
	}
	for _, element := range []string{"10.0.1.2 : goto allow-", "10.0.1.3 : goto allow-"} {
		if strings.Count(text, element) != 2 {
			t.Errorf("%q is not in both maps:\n%s", element, text)
		}
	}
}

func TestOnlyPodsOfThisNodeAreKnownHere(t *testing.T) {
	text := Render(town())
	if !strings.Contains(text, "elements = { 10.0.1.2, 10.0.1.3, 10.0.1.4 };") {
		t.Errorf("known pods:\n%s", text)
	}
	unknown := "ip daddr 10.0.1.0/24 ip daddr != 10.0.1.1 ip daddr != @known counter drop"
	if !strings.Contains(text, unknown) || !strings.Contains(text, strings.ReplaceAll(unknown, "daddr", "saddr")) {
		t.Errorf("an address that is no pod's is not closed:\n%s", text)
	}
}

func TestTheSameWorldGivesTheSameText(t *testing.T) {
	made := func(reversed bool) string {
		world := big(50)
		if reversed {
			slices.Reverse(world.Pods)
			slices.Reverse(world.Policies)
		}
		return Render(world)
	}
	if made(false) != made(true) {
		t.Error("the order in which objects were listed shows in the table")
	}
}

// big is a full node: tenants of one pod each, closed but for their facade, as the provider makes them.
func big(tenants int) *World {
	world := &World{PodNetwork: netip.MustParsePrefix("10.0.0.0/16"), Namespaces: map[string]labels.Set{}}
	eighty := intstr.FromInt32(8080)
	facade := netv1.NetworkPolicyIngressRule{
		From:  []netv1.NetworkPolicyPeer{{IPBlock: &netv1.IPBlock{CIDR: "192.168.0.1/32"}}},
		Ports: []netv1.NetworkPolicyPort{{Port: &eighty}},
	}
	for i := range tenants {
		name := fmt.Sprintf("tenant-%d", i)
		world.Namespaces[name] = labels.Set{"name": name}
		address := netip.AddrFrom4([4]byte{10, 0, byte(1 + i/250), byte(2 + i%250)})
		world.Pods = append(world.Pods, Pod{Namespace: name, Name: name, Address: address, Local: true})
		world.Policies = append(world.Policies, egress(ingress(policy(name, everybody), facade)))
	}
	return world
}

func BenchmarkRender(b *testing.B) {
	world := big(1000)
	for b.Loop() {
		Render(world)
	}
}

// What the kernel led from the facade's ports is as welcome as the facade: exactly there, and else judged as all is.
func TestWhatIsLedFromTheFacadeIsWelcomeWhereItWasLed(t *testing.T) {
	world := town(ingress(policy("a", everybody)))
	if strings.Contains(Render(world), "led") {
		t.Error("nothing is led")
	}
	world.Led = []string{"31000 . 10.0.1.2 . 5432"}
	text := Render(world)
	accepts := "ct mark 1414551385 meta l4proto tcp ct original proto-dst . ct reply ip saddr . ct reply proto-src @led accept"
	if strings.Count(text, accepts) != 1 || !strings.Contains(text, "elements = { 31000 . 10.0.1.2 . 5432 }") {
		t.Error(text)
	}
	receiver := text[strings.Index(text, "chain receiver"):]
	if strings.Index(receiver, accepts) > strings.Index(receiver, "vmap @ingress") {
		t.Error("after the policies")
	}
}
