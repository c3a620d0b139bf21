// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"flag"
	"log"
	"net"
	"os"
	"time"

	"trustedpods.dev/kube/netpol/frozen"
)

// controlGroups is where the kernel shows them.
const controlGroups = "/sys/fs/cgroup"

// lapseEvery bounds how much longer than its lease a pod stays frozen.
const lapseEvery = time.Second

// raiseEvery bounds for how long a pod that runs again has less CPU than it had, where its kubelet carried out late
// what was asked while it was frozen.
const raiseEvery = 500 * time.Millisecond

// freezerFlags may stand in the environment too: a unit's file of settings adds them without another line.
func freezerFlags() (socket, groups *string, pageOut *bool) {
	socket = flag.String("freezer-socket", os.Getenv("NETPOL_FREEZER"),
		"where the provider's daemon freezes and thaws pods, if anywhere (NETPOL_FREEZER)")
	groups = flag.String("pods-group", "/", "the kubelet's cgroupRoot, with -freezer-socket")
	pageOut = flag.Bool("page-out", os.Getenv("NETPOL_PAGE_OUT") == "1",
		"whether memory of frozen pods goes into swap, if all of it is zram (NETPOL_PAGE_OUT=1)")
	return socket, groups, pageOut
}

// thawLeft continues what an earlier agent left frozen, also where the API server cannot be reached yet: by then
// the daemon may take it as thawed.
func thawLeft(groups string) {
	if _, err := frozen.New(frozen.Open(controlGroups, groups), nil); err != nil {
		log.Printf("left frozen: %v", err)
	}
}

// freezes lets the provider's daemon freeze pods of this node. What somebody ends runs as soon as the watch
// shows it.
func (a *agent) freezes(ctx context.Context, path, groups string, pageOut bool) (*frozen.Leases, error) {
	leases, err := frozen.New(frozen.Open(controlGroups, groups), a.seen.mayFreeze)
	if err != nil {
		return nil, err
	}
	leases.Awake = a.seen.awakeMilli
	if pageOut {
		leases.Pages = frozen.NewPager()
	}
	ended := leases.Ends
	a.seen.ended.Store(&ended)
	go func() {
		tick, raise := time.NewTicker(lapseEvery), time.NewTicker(raiseEvery)
		defer tick.Stop()
		defer raise.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case now := <-tick.C:
				leases.Lapse(now)
			case now := <-raise.C:
				leases.Raise(now)
			}
		}
	}()
	return leases, a.listen(path, func(connection net.Conn) {
		if err := leases.Answer(connection, connection); err != nil {
			log.Printf("freezer: %v", err)
		}
	})
}
