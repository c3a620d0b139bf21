// SPDX-License-Identifier: Apache-2.0

package ways

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// Attributes of a connection, as the kernel tells them (include/uapi/linux/netfilter/nfnetlink_conntrack.h).
const (
	ctaTupleOriginal   = 1
	ctaTupleReply      = 2
	ctaProtocolInfo    = 4
	ctaMark            = 8
	ctaCountersForward = 9
	ctaCountersReply   = 10
	ctaMarkMask        = 21

	tupleIP, tupleProtocol = 1, 2
	ipSource               = 1
	portSource, portTarget = 2, 3
	infoTCP, tcpState      = 1, 1
	counterBytes           = 2

	// get is NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_GET.
	get = 1<<8 | 1
	// header is struct nfgenmsg: family, version, resource.
	header = 4
	// typeMask leaves out the flags of an attribute's type.
	typeMask = 0x3fff
)

// TCP states of a connection that is over: LAST_ACK is not yet (include/uapi/linux/netfilter/nf_conntrack_tcp.h).
const tcpTimeWait, tcpClose = 7, 8

// cutFor is how long the kernel answers a connection that was cut with its end: who is silent for so long is cut once
// more, and who comes back from the same port is not kept out for longer.
const cutFor = 5 * time.Minute

// Connection is one that the kernel carries, or carried until a moment ago.
type Connection struct {
	Source  netip.AddrPort `json:"source"`
	Port    uint16         `json:"port"` // the facade's
	Address netip.Addr     `json:"address"`
	Target  uint16         `json:"target"`
	Open    bool           `json:"open"`
	Bytes   uint64         `json:"bytes"` // of IP packets, both ways
}

// Connections asks the kernel for all that this table led.
func Connections() ([]Connection, error) {
	request := nl.NewNetlinkRequest(get, unix.NLM_F_DUMP)
	request.AddData(&nl.Nfgenmsg{NfgenFamily: unix.AF_INET, Version: nl.NFNETLINK_V0})
	for _, kind := range []int{ctaMark, ctaMarkMask} {
		value := uint32(Mark)
		if kind == ctaMarkMask {
			value = ^uint32(0)
		}
		request.AddData(nl.NewRtAttr(kind, binary.BigEndian.AppendUint32(nil, value)))
	}
	messages, err := request.Execute(unix.NETLINK_NETFILTER, 0)
	if err != nil {
		return nil, fmt.Errorf("the kernel's connections: %w", err)
	}
	var found []Connection
	for _, message := range messages {
		if one, ours := parse(message); ours {
			found = append(found, one)
		}
	}
	return found, nil
}

// parse reads one connection; false for what is not led by us, or makes no sense.
func parse(message []byte) (Connection, bool) {
	if len(message) < header {
		return Connection{}, false
	}
	all := attributes(message[header:])
	original, reply := attributes(all[ctaTupleOriginal]), attributes(all[ctaTupleReply])
	ports, answer := attributes(original[tupleProtocol]), attributes(reply[tupleProtocol])
	client, known := address(attributes(original[tupleIP])[ipSource])
	pod, there := address(attributes(reply[tupleIP])[ipSource])
	mark := all[ctaMark]
	if !known || !there || len(mark) != 4 || binary.BigEndian.Uint32(mark) != Mark {
		return Connection{}, false
	}
	state := attributes(attributes(all[ctaProtocolInfo])[infoTCP])[tcpState]
	return Connection{
		Source:  netip.AddrPortFrom(client, number16(ports[portSource])),
		Port:    number16(ports[portTarget]),
		Address: pod,
		Target:  number16(answer[portSource]),
		Open:    len(state) == 1 && state[0] != tcpTimeWait && state[0] != tcpClose,
		Bytes:   sent(all[ctaCountersForward]) + sent(all[ctaCountersReply]),
	}, true
}

// attributes are those of a message or of another attribute, by type; what is cut off is left out.
func attributes(data []byte) map[uint16][]byte {
	found := map[uint16][]byte{}
	for len(data) >= 4 {
		length := int(binary.NativeEndian.Uint16(data))
		if length < 4 || length > len(data) {
			break
		}
		found[binary.NativeEndian.Uint16(data[2:])&typeMask] = data[4:length]
		data = data[min(len(data), (length+3)&^3):]
	}
	return found
}

func address(data []byte) (netip.Addr, bool) {
	found, ok := netip.AddrFromSlice(data)
	return found, ok && found.Is4()
}

func number16(data []byte) uint16 {
	if len(data) != 2 {
		return 0
	}
	return binary.BigEndian.Uint16(data)
}

func sent(counters []byte) uint64 {
	data := attributes(counters)[counterBytes]
	if len(data) != 8 {
		return 0
	}
	return binary.BigEndian.Uint64(data)
}

// Load is what passes a port to one pod: Moved grows with each connection and each byte, since the agent's start.
type Load struct {
	Port    uint16     `json:"port"`
	Address netip.Addr `json:"address"`
	Open    int        `json:"open"`
	Moved   uint64     `json:"moved"`
	Newest  int        `json:"newest"` // seconds since the newest connection was first seen
}

// Aged is an open connection and how long ago it was seen first.
type Aged struct {
	Connection
	Age int `json:"age"` // seconds
}

// Seen remembers connections between two looks at the kernel's, which keeps one for ten seconds after its end.
type Seen struct {
	lock  sync.Mutex
	flows map[key]flow
	loads map[load]Load
}

type key struct {
	source netip.AddrPort
	port   uint16
	pod    netip.Addr
}

type load struct {
	port uint16
	pod  netip.Addr
}

type flow struct {
	began time.Time
	bytes uint64
	cut   time.Time // until then it counts as over
}

// Take counts what is new in a look, and tells the load of each way on which connections may go on, and what is
// open. What was ended by the policies is over.
func (s *Seen) Take(connections []Connection, reached []Way, now time.Time) ([]Load, []Aged) {
	s.lock.Lock()
	defer s.lock.Unlock()
	before, flows, loads := s.flows, map[key]flow{}, map[load]Load{}
	for _, way := range reached {
		whose := load{way.Port, way.Address}
		loads[whose] = Load{Port: way.Port, Address: way.Address, Moved: s.loads[whose].Moved, Newest: -1}
	}
	var open []Aged
	for _, one := range connections {
		which, whose := key{one.Source, one.Port, one.Address}, load{one.Port, one.Address}
		known, there := before[which]
		sum, goesOn := loads[whose]
		if !goesOn {
			continue
		}
		if !there || one.Bytes < known.bytes { // another connection of the same ports
			known = flow{began: now}
			sum.Moved++
		}
		sum.Moved += one.Bytes - known.bytes
		known.bytes = one.Bytes
		age := int(now.Sub(known.began) / time.Second)
		if sum.Newest < 0 || age < sum.Newest {
			sum.Newest = age
		}
		if one.Open && !now.Before(known.cut) {
			sum.Open++
			open = append(open, Aged{one, age})
		}
		flows[which], loads[whose] = known, sum
	}
	s.flows, s.loads = flows, loads
	found := make([]Load, 0, len(loads))
	for _, sum := range loads {
		found = append(found, sum)
	}
	slices.SortFunc(found, func(one, other Load) int {
		if one.Port != other.Port {
			return int(one.Port) - int(other.Port)
		}
		return one.Address.Compare(other.Address)
	})
	return found, open
}

// Cut counts connections as over for as long as they are ended by the kernel: those that are known.
func (s *Seen) Cut(wanted []Connection, now time.Time) []Connection {
	s.lock.Lock()
	defer s.lock.Unlock()
	var found []Connection
	for _, one := range wanted {
		which := key{one.Source, one.Port, one.Address}
		if known, there := s.flows[which]; there {
			known.cut = now.Add(cutFor)
			s.flows[which] = known
			found = append(found, one)
		}
	}
	return found
}
