// SPDX-License-Identifier: Apache-2.0

package frozen

import (
	"errors"
	"log"
	"maps"
	"slices"
	"sync"
	"time"
)

// MaxLease bounds how long a pod stays stopped when nobody asks for it any more.
const MaxLease = time.Minute

// keepRaised is for how long a pod that runs again is given its CPU back at each look, should its node take it
// away: what was asked of the kubelet while the pod was stopped may be carried out late.
const keepRaised = time.Minute

// seldom is how often that is done from then on, for as long as the pod is there: where others took its room, its
// kubelet starts its containers again with the CPU of its sleep until there is room.
const seldom = 5 * time.Second

// Pod is what is told of a pod that is stopped, or was asked about. One that *restores* gets the CPU back at its
// thaw that it has now, whatever is asked of the kubelet meanwhile.
type Pod struct {
	Frozen   bool   `json:"frozen"`
	Memory   uint64 `json:"memory"`
	Restores bool   `json:"restores"`
}

// Leases keep pods stopped until their time is over. A pod that has to end is never stopped, as the
// kernel would not let it end.
type Leases struct {
	groups *Groups
	// may says whether a pod of this node may be stopped: it is there, and nobody ends it.
	may func(uid string) bool
	// Pages moves the memory of what is stopped into compressed memory; nil: it stays.
	Pages *Pager
	// Awake is what CPU a pod of this node has awake that has once lent it, by the API server, in thousandths of a
	// core; 0 for others. nil: nobody tells.
	Awake func(uid string) uint64

	lock   sync.Mutex
	until  map[string]time.Time
	raised map[string]time.Time // pods that run again, and until when they are looked after at each look
	looked time.Time            // when all of those were
}

// New continues everything that an earlier agent left stopped.
func New(groups *Groups, may func(uid string) bool) (*Leases, error) {
	leases := &Leases{groups: groups, may: may, until: map[string]time.Time{}, raised: map[string]time.Time{}}
	return leases, leases.ThawAll()
}

// Freeze stops pods, or lets those that are stopped stay so, until *lease* is over. It tells of those that are.
func (l *Leases) Freeze(uids []string, lease time.Duration, now time.Time) map[string]Pod {
	l.lock.Lock()
	defer l.lock.Unlock()
	found, _ := l.find()
	told := map[string]Pod{}
	for _, uid := range uids {
		group, here := found[uid]
		if !here {
			continue
		}
		if !l.may(uid) {
			l.let(uid, group)
			continue
		}
		if _, held := l.until[uid]; !held {
			if err := l.groups.remember(group); err != nil {
				log.Printf("CPU of pod %s: %v", uid, err) // it is not told to be restored
			}
		}
		delete(l.raised, uid)
		if err := l.groups.set(group, true); err != nil {
			log.Printf("pod %s is not frozen: %v", uid, err)
			l.let(uid, group)
			continue
		}
		if _, held := l.until[uid]; !held && l.Pages != nil {
			if err := l.Pages.out(l.groups, group); err != nil {
				log.Printf("pod %s is not paged out: %v", uid, err)
			}
		}
		l.until[uid] = now.Add(min(lease, MaxLease))
		told[uid] = l.tell(uid, group)
	}
	return told
}

// Thaw continues pods, and tells how those are that are on this node.
func (l *Leases) Thaw(uids []string) map[string]Pod {
	return l.each(uids, func(uid, group string) {
		_ = l.let(uid, group) // told, and tried again
	})
}

// Size tells of pods of this node as they are.
func (l *Leases) Size(uids []string) map[string]Pod {
	return l.each(uids, func(string, string) {})
}

// each does something with every pod of *uids* that is on this node, and tells how it is then.
func (l *Leases) each(uids []string, do func(uid, group string)) map[string]Pod {
	l.lock.Lock()
	defer l.lock.Unlock()
	found, _ := l.find()
	told := map[string]Pod{}
	for _, uid := range uids {
		if group, here := found[uid]; here {
			do(uid, group)
			told[uid] = l.tell(uid, group)
		}
	}
	return told
}

// Ends continues a pod that somebody ends.
func (l *Leases) Ends(uid string) {
	l.lock.Lock()
	defer l.lock.Unlock()
	if _, held := l.until[uid]; held {
		l.letFound(uid)
	}
}

// Lapse continues pods whose time is over, and those that may not be stopped any more.
func (l *Leases) Lapse(now time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	for uid, until := range l.until {
		if now.Before(until) && l.may(uid) {
			continue
		}
		l.letFound(uid)
	}
}

// Raise gives pods that were continued their CPU again where it was taken from them.
func (l *Leases) Raise(now time.Time) {
	l.lock.Lock()
	defer l.lock.Unlock()
	all := now.Sub(l.looked) >= seldom
	if all {
		l.looked = now
	}
	due := func(until time.Time) bool { return all || !now.After(until) }
	learns := all && l.Awake != nil
	if !learns && !slices.ContainsFunc(slices.Collect(maps.Values(l.raised)), due) {
		return
	}
	found, err := l.find()
	if learns {
		l.learn(found)
	}
	for uid, until := range l.raised {
		group, here := found[uid]
		if !here && err == nil {
			delete(l.raised, uid)
		}
		if here && due(until) {
			l.raise(uid, group)
		}
	}
}

// learn has those pods looked after too whose groups are newer than what they lent: their node started anew.
func (l *Leases) learn(found map[string]string) {
	for uid, group := range found {
		_, held := l.until[uid]
		_, raised := l.raised[uid]
		if held || raised {
			continue
		}
		milli := l.Awake(uid)
		if milli == 0 {
			continue
		}
		if err := l.groups.rememberAwake(group, milli); err != nil {
			log.Printf("CPU of pod %s: %v", uid, err) // tried again
			continue
		}
		l.raised[uid] = time.Time{}
	}
}

// ThawAll continues every pod of the node, and gives all that were stopped once the CPU that they had.
func (l *Leases) ThawAll() error {
	l.lock.Lock()
	defer l.lock.Unlock()
	found, err := l.groups.pods()
	for uid, group := range found {
		stopped, _, lost := l.groups.stopped(group)
		if lost == nil && (stopped || l.groups.restores(group)) {
			err = errors.Join(err, l.let(uid, group))
		}
	}
	return err
}

func (l *Leases) find() (map[string]string, error) {
	found, err := l.groups.pods()
	if err != nil {
		log.Printf("control groups cannot be read: %v", err)
	}
	return found, err
}

// letFound continues a pod, wherever it is. Only where all groups could be read is one that is not there over.
func (l *Leases) letFound(uid string) {
	found, err := l.find()
	if group, here := found[uid]; here || err == nil {
		_ = l.let(uid, group) // logged, and tried again
	}
}

// let continues a pod; one that could not be is tried again when its time is looked at next.
func (l *Leases) let(uid, group string) error {
	if group != "" {
		l.raise(uid, group) // first: it runs with all that it had
		l.raised[uid] = time.Now().Add(keepRaised)
		if err := l.groups.set(group, false); err != nil {
			log.Printf("pod %s is not thawed: %v", uid, err)
			l.until[uid] = time.Time{}
			return err
		}
	}
	delete(l.until, uid)
	return nil
}

func (l *Leases) raise(uid, group string) {
	if err := l.groups.restore(group); err != nil {
		log.Printf("CPU of pod %s is not restored: %v", uid, err)
	}
}

func (l *Leases) tell(uid, group string) Pod {
	_, held := l.until[uid]
	memory, err := l.groups.held(group)
	if err != nil {
		log.Printf("memory of pod %s: %v", uid, err)
	}
	return Pod{held, memory, l.groups.restores(group)}
}
