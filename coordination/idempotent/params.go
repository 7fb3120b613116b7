package idempotent

import (
	"fmt"
	"strings"
	"time"

	"github.com/ferryrpc/ferry/protocol"
)

// Params are the parameters of recorded calls, for a service and for each method that has its own.
type Params struct {
	Idempotent string        `url:"idempotent" default:"false" doc:"true: a repeat has no second effect; or the store in which providers record calls: memory, sql, redis, zookeeper, or lock: under a ZooKeeper lock of the key"`
	Key        string        `url:"idempotent.key" doc:"argument that is the idempotency key of a call which brings none: 0, or a field of it: 0.orderId"`
	Policy     string        `url:"idempotent.policy" default:"atmostonce" doc:"what becomes of a recorded call whose provider died: atmostonce (its outcome is unknown), reexecutable (it runs again) or transactional (effect and record are one SQL transaction)"`
	TTL        time.Duration `url:"idempotent.ttl" default:"600000" doc:"how long answers of recorded calls are kept; a consumer may ask for less"`
	Lease      time.Duration `url:"idempotent.lease" default:"60000" doc:"longest time for a recorded call to run; afterwards its provider counts as dead"`
	Result     int           `url:"idempotent.result" default:"65536" doc:"largest answer that is kept, in bytes; of a larger one only that it was given"`
	ZooKeeper  string        `url:"idempotent.zookeeper" doc:"ensemble of the store zookeeper and of idempotent=lock, as zookeeper://host:port/prefix; that of the registry when empty"`
	Records    string        `url:"idempotent.records" default:"zookeeper" doc:"the store behind idempotent=lock"`
}

// stored says whether calls are recorded.
func (p *Params) stored() bool {
	return p.Idempotent != "" && p.Idempotent != "true" && p.Idempotent != "false"
}

func (p *Params) policy() (Policy, error) {
	for _, known := range []Policy{AtMostOnce, ReExecutable, Transactional} {
		if p.Policy == known.String() {
			return known, nil
		}
	}
	return 0, fmt.Errorf("idempotent.policy=%s: want atmostonce, reexecutable or transactional", p.Policy)
}

func (p *Params) check() error {
	if !p.stored() {
		return nil
	}
	if _, err := p.policy(); err != nil {
		return err
	}
	if p.Key != "" {
		if _, err := protocol.ParseArgPath(p.Key); err != nil {
			return fmt.Errorf("idempotent.key=%s: %w", p.Key, err)
		}
	}
	const longest = 366 * 24 * time.Hour
	switch {
	case p.TTL <= 0 || p.TTL > longest:
		return fmt.Errorf("idempotent.ttl=%s: want a time over 0 and up to %s", p.TTL, longest)
	case p.Lease < 10*time.Millisecond || p.Lease > 24*time.Hour:
		return fmt.Errorf("idempotent.lease=%s: want 10ms to 24h", p.Lease)
	case p.Result <= 0 || p.Result > 64<<20:
		return fmt.Errorf("idempotent.result=%d: want 1 byte to 64 MiB", p.Result)
	case p.Records == "lock" || strings.ContainsAny(p.Records, ",&=? "):
		return fmt.Errorf("idempotent.records=%s: want the name of a store", p.Records)
	}
	return nil
}
