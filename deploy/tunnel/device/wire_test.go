// SPDX-License-Identifier: Apache-2.0

package device

import (
	"bytes"
	"encoding/binary"
	"net"
	"testing"

	"golang.org/x/sys/unix"
)

// everyProtocol is ETH_P_ALL in the network's order of bytes.
const everyProtocol = 0x0300

// listenRaw sees every frame of a namespace's eth0 from here on. What it returns counts those of the tunnel's
// port, and those in which "hello" stands.
func listenRaw(namespace string) (func(*testing.T) (int, int), error) {
	socket := -1
	err := inside(namespace, func() error {
		link, err := net.InterfaceByName("eth0")
		if err != nil {
			return err
		}
		socket, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_NONBLOCK, everyProtocol)
		if err != nil {
			return err
		}
		return unix.Bind(socket, &unix.SockaddrLinklayer{Protocol: everyProtocol, Ifindex: link.Index})
	})
	return func(t *testing.T) (encrypted, plain int) {
		defer unix.Close(socket)
		frame := make([]byte, 65536)
		for {
			n, _, err := unix.Recvfrom(socket, frame, 0)
			if err == unix.EAGAIN {
				return encrypted, plain
			}
			if err != nil {
				t.Fatal(err)
			}
			if n > 38 && binary.BigEndian.Uint16(frame[36:38]) == 51820 {
				encrypted++
			}
			if bytes.Contains(frame[:n], []byte("hello")) {
				plain++
			}
		}
	}, err
}
