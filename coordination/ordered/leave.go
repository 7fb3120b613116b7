package ordered

import (
	"context"
	"errors"
	"net/url"
	"sync"

	"github.com/ferryrpc/ferry/internal/zk"
)

// Withdraw implements extension.Part: it gives all buckets away. It is called while consumers still call, who are told of the next
// owners.
func (h *host) Withdraw(ctx context.Context) {
	h.leaving.Store(true)
	h.mu.Lock()
	e := h.era
	h.mu.Unlock()
	if e == nil {
		return
	}
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(e.gen.Context(), cancel)()
	node := h.path + "/members/" + url.PathEscape(h.self)
	if err := h.zk.Delete(inner, node, zk.AnyVersion); err != nil && !errors.Is(err, zk.ErrNoNode) {
		h.zk.Sweep(node, e.gen.ID()) // the others learn of it late, and our buckets stay ours until then
	}
	work := make(chan *bucket)
	var wg sync.WaitGroup
	for range claimers {
		wg.Go(func() {
			for b := range work {
				h.give(inner, e.gen, b, h.params.Drain, true)
			}
		})
	}
	for i := range h.buckets {
		work <- &h.buckets[i]
	}
	close(work)
	wg.Wait()
}

// Close implements extension.Part.
func (h *host) Close() error {
	h.leaving.Store(true)
	h.mu.Lock()
	h.closed = true
	e := h.era
	h.mu.Unlock()
	if h.release == nil { // never started
		return nil
	}
	h.stop()
	for i := range h.buckets {
		b := &h.buckets[i]
		h.watches[i].Stop()
		b.mu.Lock()
		t, made := b.tenure, b.made
		b.mu.Unlock()
		if t != nil {
			h.lose(b, t, errors.New("the server is closed"))
		}
		if made != 0 {
			h.zk.Sweep(h.path+"/own/"+bucketName(i), made)
		}
	}
	if e != nil {
		h.zk.Sweep(h.path+"/members/"+url.PathEscape(h.self), e.gen.ID()) // gone already after a Withdraw
	}
	h.wg.Wait()
	return errors.Join(h.locks.Load().Close(), h.release())
}
