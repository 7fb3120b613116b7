package ordered

import (
	"fmt"
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/internal/zk"
	"github.com/ferryrpc/ferry/url"
)

// The protections that a negative control can switch off.
const (
	Order = iota
	Replay
	Deadline
)

// Weaken switches protections off.
func (s *Setup) Weaken(which ...int) {
	for _, w := range which {
		switch w {
		case Order:
			s.weak.order = true
		case Replay:
			s.weak.replay = true
		case Deadline:
			s.weak.deadline = true
		}
	}
}

// TakeOver lets one of two hosts own all buckets, ends its session, and measures how long the other needs to own them.
func TakeOver(zookeeper string) (time.Duration, error) {
	service := fmt.Sprint("com.example.TakeOver", time.Now().UnixNano())
	p := HostParams{Store: "memory", Move: 1, Drain: time.Second, Replay: time.Minute, Gap: time.Second, Result: 1 << 10}
	open := func(port int) (*host, error) {
		h := newHost(extension.Env{}, p, codec{}, nil)
		return h, h.Start(url.New("dubbo", fmt.Sprint("127.0.0.1:", port), service), url.MustParse("zookeeper://"+zookeeper+"?session=10000"))
	}
	first, err := open(1)
	if err != nil {
		return 0, err
	}
	defer first.Close()
	for first.owned() < Buckets {
		time.Sleep(time.Millisecond)
	}
	second, err := open(2)
	if err != nil {
		return 0, err
	}
	defer second.Close()
	for second.watching() < Buckets/3 { // it waits for those that should be its
		time.Sleep(time.Millisecond)
	}
	began := time.Now()
	if err := first.zk.Close(); err != nil {
		return 0, err
	}
	for second.owned() < Buckets {
		time.Sleep(time.Millisecond)
	}
	return time.Since(began), nil
}

func (h *host) owned() (n int) {
	for i := range h.buckets {
		h.buckets[i].mu.Lock()
		if b := &h.buckets[i]; b.state == owning && b.tenure.alive() {
			n++
		}
		h.buckets[i].mu.Unlock()
	}
	return n
}

func (h *host) watching() (n int) {
	for i := range h.buckets {
		h.buckets[i].mu.Lock()
		if h.buckets[i].blocked {
			n++
		}
		h.buckets[i].mu.Unlock()
	}
	return n
}

// NewZKStore is the store that keeps state below root.
func NewZKStore(c *zk.Client, root string) Store { return &zkStore{c, root} }

// StateOf is the state of a key that no client has used.
func StateOf(key string) []byte { return newKey(key).appendState(nil) }

func newKey(name string) *key { return &key{name: name} }
