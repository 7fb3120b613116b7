package loadbalance

import (
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"slices"
	"strconv"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// ConsistentHashParams are the parameters of the balancer consistenthash.
type ConsistentHashParams struct {
	Nodes     int      `url:"hash.nodes" default:"160" doc:"points of each provider on the ring of consistenthash"`
	Arguments []string `url:"hash.arguments" default:"0" doc:"positions of the arguments that consistenthash goes by"`
}

// mostNodes bounds hash.nodes: a point costs 8 bytes and takes part in sorting.
const mostNodes = 16384

// NewConsistentHash returns a balancer that sends calls with equal arguments to the same provider, by the ring and the
// keys of Dubbo's Java implementation, so that both sides of a mixed fleet agree. When a provider leaves, only its keys
// move, each to the next provider on the ring; a provider that was tried already is passed over in the same way.
// Weights have no influence. A pick costs O(log n).
func NewConsistentHash(_ extension.Env, u *url.URL) (Balancer, error) {
	params, err := protocol.DecodePerMethod(u, checkHash)
	if err != nil {
		return nil, err
	}
	return &consistentHash{params: params}, nil
}

func checkHash(p *ConsistentHashParams) error {
	if p.Nodes < 4 || p.Nodes > mostNodes {
		return fmt.Errorf("loadbalance: hash.nodes=%d: want 4 to %d", p.Nodes, mostNodes)
	}
	for _, a := range p.Arguments {
		if n, err := strconv.Atoi(a); err != nil || n < 0 {
			return fmt.Errorf("loadbalance: hash.arguments: %q is not the position of an argument", a)
		}
	}
	return nil
}

type consistentHash struct {
	params *protocol.PerMethod[ConsistentHashParams]

	mu      sync.Mutex // guards the following: the ring of the last list, which all methods share
	targets []*Target
	nodes   int
	ring    []point
}

func (b *consistentHash) Prepare(m *protocol.Method, targets []*Target) Picker {
	params := b.params.Base()
	if m != nil {
		params = b.params.For(m)
	}
	p := &hashPicker{targets: targets, ring: b.ringOf(targets, params.Nodes)}
	for _, a := range params.Arguments {
		n, _ := strconv.Atoi(a)
		p.arguments = append(p.arguments, n)
	}
	return p
}

func (b *consistentHash) ringOf(targets []*Target, nodes int) []point {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.nodes != nodes || !slices.Equal(b.targets, targets) {
		b.targets, b.nodes, b.ring = targets, nodes, makeRing(targets, nodes)
	}
	return b.ring
}

// A point is a place on the ring in its upper half and the position of the target in its lower half.
type point uint64

func (p point) hash() uint32 { return uint32(p >> 32) }

// makeRing gives each address nodes/4 digests of "host:port" and a running number, and each digest four points.
func makeRing(targets []*Target, nodes int) []point {
	ring := make([]point, 0, len(targets)*(nodes/4)*4)
	var text []byte
	for i, t := range targets {
		text = append(text[:0], t.Ref.URL().Address()...)
		length := len(text)
		for n := range nodes / 4 {
			digest := md5.Sum(strconv.AppendInt(text[:length], int64(n), 10))
			for q := range 4 {
				ring = append(ring, point(binary.LittleEndian.Uint32(digest[q*4:]))<<32|point(uint32(i)))
			}
		}
	}
	slices.Sort(ring)
	// Of two providers at one place Java keeps the later one, and it is the last in order here.
	kept := ring[:0]
	for i, p := range ring {
		if i+1 == len(ring) || ring[i+1].hash() != p.hash() {
			kept = append(kept, p)
		}
	}
	return kept
}

type hashPicker struct {
	targets   []*Target
	ring      []point
	arguments []int
}

func (p *hashPicker) Pick(c *protocol.Invocation, tried Tried) *Target {
	if len(p.ring) == 0 {
		return nil
	}
	var room [256]byte
	key := appendKey(room[:0], c, p.arguments)
	digest := md5.Sum(key)
	at := p.find(binary.LittleEndian.Uint32(digest[:]))
	for range p.ring {
		if t := p.targets[uint32(p.ring[at])]; len(tried) == 0 || !tried.Has(t) {
			return t
		}
		if at++; at == len(p.ring) {
			at = 0
		}
	}
	return nil
}

// find returns the position of the first point at or behind hash, or of the first point of all.
func (p *hashPicker) find(hash uint32) int {
	low, high := 0, len(p.ring)
	for low < high {
		if mid := int(uint(low+high) >> 1); p.ring[mid].hash() >= hash {
			high = mid
		} else {
			low = mid + 1
		}
	}
	if low == len(p.ring) {
		return 0
	}
	return low
}
