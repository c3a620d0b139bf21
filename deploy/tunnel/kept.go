// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net"
	"os"
	"sync"
	"time"

	"trustedpods.dev/tunnel/device"
)

const (
	// lookEvery is how late a pod that came or went is seen, and how soon a device is tried again.
	lookEvery = time.Second
	// talkLimit is for a caller to say what it wants and to take its answer.
	talkLimit = 30 * time.Second
	// maxWanted bounds what a caller may say: some thousand pods with a few peers each.
	maxWanted = 16 * 1024 * 1024
)

// place is a pod of this node that lives: its namespace in the cluster, and where its network is.
type place struct{ namespace, path string }

type standing struct {
	place
	device *device.Device
	since  time.Time
}

// view is how a tunnel is: for how many seconds it stands, and how many ago each peer was heard, -1 for never.
type view struct {
	Since int            `json:"since"`
	Heard map[string]int `json:"heard"`
}

// kept are the devices of this node's pods. What is wrong with one is its pod's alone.
type kept struct {
	pods string

	mutex    sync.Mutex
	wanted   map[string]*device.Config // by namespace
	standing map[string]*standing      // by the pod's uid
	failed   map[string]string         // the last failure of each, which is said once
	refused  map[string]string         // by namespace: what was wrong with what is wanted, which is said once too
}

func newKept(pods string) *kept {
	return &kept{
		pods: pods, wanted: map[string]*device.Config{}, standing: map[string]*standing{}, failed: map[string]string{},
	}
}

// run looks after them until the context ends; they go with the program.
func (k *kept) run(ctx context.Context) {
	tick := time.NewTicker(lookEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			k.mutex.Lock()
			k.look()
			k.mutex.Unlock()
		}
	}
}

// want takes what there is to be, and says how that is.
func (k *kept) want(said map[string]json.RawMessage) map[string]view {
	k.mutex.Lock()
	defer k.mutex.Unlock()
	k.wanted = map[string]*device.Config{}
	refused := map[string]string{}
	for namespace, data := range said {
		config, err := device.Parse(data)
		if err != nil {
			refused[namespace] = err.Error()
			if refused[namespace] != k.refused[namespace] {
				log.Printf("%s: %v", namespace, err)
			}
			continue
		}
		k.wanted[namespace] = config
	}
	k.refused = refused
	k.look()
	found := map[string]view{}
	for _, one := range k.standing {
		heard, err := one.device.Heard()
		if err != nil {
			continue
		}
		told := view{int(time.Since(one.since).Seconds()), map[string]int{}}
		for node, at := range heard {
			told.Heard[node] = -1
			if !at.IsZero() {
				told.Heard[node] = int(time.Since(at).Seconds())
			}
		}
		found[one.namespace] = told
	}
	return found
}

// look makes what is wanted where its pod is, and takes away what is not.
func (k *kept) look() {
	places, err := living(k.pods)
	if err != nil {
		log.Print(err)
		return
	}
	for uid, one := range k.standing {
		if config := k.wanted[one.namespace]; places[uid] != one.place || config == nil || !one.device.Fits(config) {
			one.device.Close()
			delete(k.standing, uid)
		}
	}
	failed := map[string]string{}
	for uid, where := range places {
		config := k.wanted[where.namespace]
		if config == nil || where.path == "" {
			continue
		}
		if err := k.keep(uid, where, config); err != nil {
			failed[uid] = err.Error()
			if failed[uid] != k.failed[uid] {
				log.Printf("a pod in %s: %v", where.namespace, err)
			}
		}
	}
	k.failed = failed
}

func (k *kept) keep(uid string, where place, config *device.Config) error {
	if one := k.standing[uid]; one != nil {
		return one.device.Set(config)
	}
	made, err := device.Open(where.path, config)
	if err != nil {
		return err
	}
	k.standing[uid] = &standing{where, made, time.Now()}
	return nil
}

// living are the pods that live, by uid, as the policy agent keeps them (deploy/kube/netpol/traffic); none before
// it has written any.
func living(path string) (map[string]place, error) {
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	var ledger struct {
		Pods map[string]struct {
			Namespace string `json:"namespace"`
			NetNS     string `json:"netns"`
			Ended     int64  `json:"ended"`
		} `json:"pods"`
	}
	if err == nil {
		err = json.Unmarshal(data, &ledger)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	found := map[string]place{}
	for uid, one := range ledger.Pods {
		if one.Ended == 0 {
			found[uid] = place{one.Namespace, one.NetNS}
		}
	}
	return found, nil
}

// listen serves a unix socket that only this user may open: who says what there is to be, until it has said all.
func listen(path string, kept *kept) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", path)
	if err != nil {
		return err
	}
	if err := os.Chmod(path, 0o600); err != nil {
		return err
	}
	go func() {
		for {
			connection, err := listener.Accept()
			if err != nil {
				log.Fatalf("%s: %v", path, err) // the supervisor starts us again
			}
			go talk(connection, kept)
		}
	}()
	return nil
}

func talk(connection net.Conn, kept *kept) {
	defer connection.Close()
	if err := connection.SetDeadline(time.Now().Add(talkLimit)); err != nil {
		return
	}
	var said map[string]json.RawMessage
	data, err := io.ReadAll(io.LimitReader(connection, maxWanted))
	if err != nil || json.Unmarshal(data, &said) != nil {
		return // also a look whether somebody listens
	}
	_ = json.NewEncoder(connection).Encode(kept.want(said))
}
