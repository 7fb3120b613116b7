package ordered

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/ferryrpc/ferry/coordination/lock"
	"github.com/ferryrpc/ferry/internal/zk"
)

// An era is the time under one generation.
type era struct {
	gen  *zk.Generation
	life lock.Incarnation
}

// main takes part in one generation after the other.
func (h *host) main() {
	for h.ctx.Err() == nil {
		gen, err := h.zk.Session(h.ctx)
		if err != nil {
			return // closed
		}
		h.partake(gen)
		h.endEra(gen)
	}
}

// partake looks after the buckets until the generation ends. An error of the servers ends nothing: what is owned stays owned as long as the
// session does, and all else is tried again.
func (h *host) partake(gen *zk.Generation) {
	ctx, cancel := context.WithCancel(gen.Context())
	defer cancel()
	defer context.AfterFunc(h.ctx, cancel)()
	last := ""
	for {
		err := h.attend(ctx, gen)
		if ctx.Err() != nil || !gen.Alive() {
			return
		}
		if text := err.Error(); text != last {
			last = text
			h.env.Log().Warn("ordered: not taking part in changes", "service", h.service, "address", h.self, "cause", err)
		}
		h.failAll(err)
		sleep(ctx, pause)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
	case <-ctx.Done():
	}
}

// attend joins the members and looks after the buckets until something goes wrong.
func (h *host) attend(ctx context.Context, gen *zk.Generation) error {
	life, err := lock.IncarnationOf(ctx, h.zk)
	if err == nil {
		err = h.prepare(ctx)
	}
	if err == nil {
		err = h.join(ctx, gen)
	}
	if err != nil {
		return err
	}
	h.mu.Lock()
	if h.era == nil {
		h.era = &era{gen, life}
	}
	h.mu.Unlock()
	changed, events := zk.WatchChan()
	defer changed.Stop()
	tick := time.NewTicker(beat)
	defer tick.Stop()
	owed := 0.0 // buckets that may be given away now
	for stale := true; ; {
		if stale {
			if err := h.list(ctx, changed); err != nil {
				return err
			}
			stale = false
		}
		owed = h.settle(gen, owed)
		select {
		case <-events:
			stale = true
			if err := h.join(ctx, gen); err != nil { // our own node may be what changed
				return err
			}
		case <-h.wake:
		case <-tick.C:
			owed = min(owed+float64(h.params.Move)*beat.Seconds(), float64(h.params.Move))
			h.tend()
			h.sweep(time.Now())
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// prepare makes the service's nodes and refuses those of a provider that counts in another way.
func (h *host) prepare(ctx context.Context) error {
	config := fmt.Sprintf("%s %d", hashName, Buckets)
	for _, n := range []zk.Node{{Path: h.path + "/config", Data: []byte(config), Parents: true}, {Path: h.path + "/members"}, {Path: h.path + "/own"}} {
		if _, err := h.zk.Create(ctx, n); err != nil && !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
	}
	data, _, err := h.zk.Get(ctx, h.path+"/config", nil)
	if err == nil && string(data) != config {
		err = fmt.Errorf("keys of %s fall into buckets by %q, here by %q", h.service, data, config)
	}
	return err
}

// join makes this provider a member, or takes it out once it is leaving. A node of an earlier session of ours is replaced: it would vanish
// with that session.
func (h *host) join(ctx context.Context, gen *zk.Generation) error {
	node := zk.Node{Path: h.path + "/members/" + url.PathEscape(h.self), Session: gen}
	for {
		if h.leaving.Load() {
			return nil
		}
		_, err := h.zk.Create(ctx, node)
		if errors.Is(err, zk.ErrConnectionLost) {
			continue
		}
		if !errors.Is(err, zk.ErrNodeExists) {
			return err
		}
		stat, found, err := h.zk.Exists(ctx, node.Path, nil)
		if err != nil {
			return err
		}
		if found && stat.Owner == gen.ID() {
			return nil
		}
		if found {
			if err := h.zk.Delete(ctx, node.Path, zk.AnyVersion); err != nil && !errors.Is(err, zk.ErrNoNode) && !errors.Is(err, zk.ErrConnectionLost) {
				return err
			}
		}
	}
}

// list reads the members.
func (h *host) list(ctx context.Context, w *zk.Watch) error {
	names, err := h.zk.Children(ctx, h.path+"/members", w)
	if err != nil {
		return err
	}
	addresses := make([]string, 0, len(names))
	for _, n := range names {
		if a, err := url.PathUnescape(n); err == nil {
			addresses = append(addresses, a)
		}
	}
	h.members.Store(newMembership(addresses))
	return nil
}
