// SPDX-License-Identifier: Apache-2.0

// Command echo answers in every protocol that the facade carries, for tests and benchmarks only:
// HTTP/1.1 and HTTP/2 without TLS with gRPC framing and WebSocket on one port, plain TCP on another, and UDP.
package main

import (
	"bufio"
	"bytes"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const (
	piece       = 10_000 // bytes of /slow sent at once
	pause       = 20 * time.Millisecond
	maxFrame    = 1 << 20                                // of a WebSocket or gRPC message
	webSocketID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" // RFC 6455, section 1.3
)

func main() {
	web := flag.String("http", ":8080", "address for HTTP/1.1, HTTP/2 and WebSocket")
	tcp := flag.String("tcp", ":7000", "address that echoes bytes")
	udp := flag.String("udp", ":7000", "address that sends datagrams back")
	flag.Parse()
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Addr: *web, Handler: routes(), Protocols: protocols}
	listener, err := net.Listen("tcp", *tcp)
	if err != nil {
		log.Fatal(err)
	}
	go echoConnections(listener)
	datagrams, err := net.ListenPacket("udp", *udp)
	if err != nil {
		log.Fatal(err)
	}
	go echoDatagrams(datagrams)
	go func() {
		end := make(chan os.Signal, 1)
		signal.Notify(end, syscall.SIGTERM)
		<-end
		os.Exit(0)
	}()
	log.Fatal(server.ListenAndServe())
}

// echoDatagrams sends each datagram back to whom it came from.
func echoDatagrams(socket net.PacketConn) {
	datagram := make([]byte, 65_536)
	for {
		length, sender, err := socket.ReadFrom(datagram)
		if err != nil {
			log.Fatal(err)
		}
		_, _ = socket.WriteTo(datagram[:length], sender)
	}
}

func routes() http.Handler {
	name, _ := os.Hostname()
	mux := http.NewServeMux()
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "%s %s %s\n", name, r.Proto, r.URL.Path)
	})
	mux.HandleFunc("/head", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "host: %s\n", r.Host)
		_ = r.Header.Write(w)
	})
	mux.HandleFunc("/bytes/{count}", sendBytes)
	mux.HandleFunc("/slow/{count}", sendSlowly)
	mux.HandleFunc("/count", countBody)
	mux.HandleFunc("/trailers", sendTrailers)
	mux.HandleFunc("/ws", webSocket)
	mux.HandleFunc("/crash", func(http.ResponseWriter, *http.Request) { os.Exit(1) })
	mux.HandleFunc("/threads/{count}", startThreads)
	mux.HandleFunc("/echo.Echo/", grpcEcho)
	return mux
}

// startThreads starts so many threads of the kernel and keeps them: a goroutine that is locked to one holds it.
// The runtime ends the program when it gets none, and says how many there are.
func startThreads(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.PathValue("count"))
	started := make(chan struct{})
	for range count {
		go func() {
			runtime.LockOSThread()
			started <- struct{}{}
			select {}
		}()
	}
	for range count {
		<-started
	}
	fmt.Fprint(w, count)
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	left, _ := strconv.Atoi(r.PathValue("count"))
	w.Header().Set("Content-Length", strconv.Itoa(left))
	block := bytes.Repeat([]byte("x"), 1<<20)
	for left > 0 {
		sent, err := w.Write(block[:min(left, len(block))])
		if err != nil {
			return
		}
		left -= sent
	}
}

func sendSlowly(w http.ResponseWriter, r *http.Request) {
	count, _ := strconv.Atoi(r.PathValue("count"))
	w.Header().Set("Content-Length", strconv.Itoa(count*piece))
	flush := http.NewResponseController(w)
	for index := range count {
		if _, err := w.Write(bytes.Repeat([]byte{byte(index)}, piece)); err != nil || flush.Flush() != nil {
			return
		}
		time.Sleep(pause)
	}
}

func countBody(w http.ResponseWriter, r *http.Request) {
	sum := sha256.New()
	size, err := io.Copy(sum, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	fmt.Fprintf(w, "%d %s", size, hex.EncodeToString(sum.Sum(nil)))
}

func sendTrailers(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Trailer", "X-Sum")
	fmt.Fprint(w, "body")
	w.Header().Set("X-Sum", "of-the-body")
}

// grpcEcho sends each message back as it comes, as a gRPC method of any kind of streaming does.
func grpcEcho(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	flush := http.NewResponseController(w)
	_ = flush.Flush()
	head := make([]byte, 5)
	for {
		if _, err := io.ReadFull(r.Body, head); err != nil {
			break
		}
		size := binary.BigEndian.Uint32(head[1:])
		if size > maxFrame {
			break
		}
		message := make([]byte, size)
		if _, err := io.ReadFull(r.Body, message); err != nil {
			break
		}
		_, _ = w.Write(append(append([]byte{}, head...), message...))
		_ = flush.Flush()
	}
	w.Header().Set("Grpc-Status", "0")
}

func webSocket(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
		http.Error(w, "a WebSocket is expected", http.StatusUpgradeRequired)
		return
	}
	connection, buffer, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer connection.Close()
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + webSocketID))
	fmt.Fprintf(buffer, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Accept: %s\r\n\r\n", base64.StdEncoding.EncodeToString(sum[:]))
	_ = buffer.Flush()
	for echoFrame(buffer) == nil {
	}
}

// echoFrame reads one masked frame and writes it back unmasked; a ping becomes a pong.
func echoFrame(buffer *bufio.ReadWriter) error {
	head := make([]byte, 2, 14)
	if _, err := io.ReadFull(buffer, head); err != nil {
		return err
	}
	size, more := uint64(head[1]&0x7f), 0
	switch size {
	case 126:
		more = 2
	case 127:
		more = 8
	}
	if more > 0 {
		wide := make([]byte, 8)
		if _, err := io.ReadFull(buffer, wide[8-more:]); err != nil {
			return err
		}
		size = binary.BigEndian.Uint64(wide)
		head = append(head, wide[8-more:]...)
	}
	if size > maxFrame {
		return io.ErrShortBuffer
	}
	body := make([]byte, 4+size)
	if _, err := io.ReadFull(buffer, body); err != nil {
		return err
	}
	for index := range body[4:] {
		body[4+index] ^= body[index%4]
	}
	if head[0]&0x0f == 9 {
		head[0] = head[0]&0xf0 | 10
	}
	head[1] &= 0x7f
	if _, err := buffer.Write(append(head, body[4:]...)); err != nil {
		return err
	}
	if head[0]&0x0f == 8 {
		_ = buffer.Flush()
		return io.EOF
	}
	return buffer.Flush()
}

func echoConnections(listener net.Listener) {
	for {
		connection, err := listener.Accept()
		if err != nil {
			log.Fatal(err)
		}
		go func() {
			defer connection.Close()
			_, _ = io.Copy(connection, connection)
		}()
	}
}
