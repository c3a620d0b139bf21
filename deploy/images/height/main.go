// SPDX-License-Identifier: Apache-2.0

// Command height serves a page that shows how high a chain is, as one of its nodes says at $RPC.
// A visitor gets a cookie, so that a proxy that knows it can keep him at one replica.
package main

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

const (
	cookie    = "visitor"
	maxAnswer = 64 << 10
	patience  = 5 * time.Second
	question  = `{"jsonrpc":"2.0","id":1,"method":"eth_blockNumber","params":[]}`
)

// seen is what a visitor is told; Host is the replica that tells it.
type seen struct {
	Height uint64 `json:"height"`
	Host   string `json:"host"`
}

// height asks a node. Each question has a connection of its own, so a node that is gone is not asked twice.
func height(client *http.Client, node string) (uint64, error) {
	asked, err := client.Post(node, "application/json", bytes.NewReader([]byte(question)))
	if err != nil {
		return 0, err
	}
	defer asked.Body.Close()
	var answer struct {
		Result string `json:"result"`
		Error  *struct {
			Message string `json:"message"`
		} `json:"error"`
	}
	if err := json.NewDecoder(io.LimitReader(asked.Body, maxAnswer)).Decode(&answer); err != nil {
		return 0, fmt.Errorf("the node's answer: %w", err)
	}
	if answer.Error != nil {
		return 0, fmt.Errorf("the node says: %s", answer.Error.Message)
	}
	return strconv.ParseUint(strings.TrimPrefix(answer.Result, "0x"), 16, 64)
}

func greet(w http.ResponseWriter, r *http.Request) {
	if _, err := r.Cookie(cookie); err == nil {
		return
	}
	name := make([]byte, 16)
	rand.Read(name)
	http.SetCookie(w, &http.Cookie{Name: cookie, Value: hex.EncodeToString(name), Path: "/", HttpOnly: true})
}

func main() {
	node, host := os.Getenv("RPC"), ""
	if node == "" {
		log.Fatal("RPC names no node: set it to http://HOST:PORT")
	}
	host, _ = os.Hostname()
	client := &http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	http.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	http.HandleFunc("GET /height", func(w http.ResponseWriter, r *http.Request) {
		found, err := height(client, node)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		greet(w, r)
		w.Header().Set("Content-Type", "application/json")
		json.NewEncoder(w).Encode(seen{found, host})
	})
	http.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		found, err := height(client, node)
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadGateway)
			return
		}
		greet(w, r)
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		fmt.Fprintf(w, "<!doctype html><title>height</title><p>Block %d, says %s.</p>\n", found, host)
	})
	server := &http.Server{Addr: ":3000", ReadHeaderTimeout: patience}
	log.Fatal(server.ListenAndServe())
}
