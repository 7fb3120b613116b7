// Package audit is a filter that remembers who called what: service.filter=audit&audit.keep=1000. It works on either side,
// and where it is added as a consumer's filter too, filter=audit does the same there.
package audit

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/protocol"
	"github.com/ferryrpc/ferry/url"
)

// Params are the URL parameters of the filter.
type Params struct {
	Keep int `url:"audit.keep" default:"100" doc:"calls that the filter audit remembers; older ones are forgotten, and still counted"`
}

// A Record is one call.
type Record struct {
	Method  string
	Peer    string // empty on the consumer's side
	Outcome string // "ok", or what the error says about the call
}

// A Log holds the records of all services that have the filter. The zero value is empty and ready.
type Log struct {
	mu      sync.Mutex // guards the following
	calls   int
	failed  int
	records []Record
}

// New makes the filter, which writes to l.
func (l *Log) New(_ extension.Env, u *url.URL) (protocol.Filter, error) {
	var p Params
	if err := u.Decode(&p); err != nil {
		return nil, err
	}
	if p.Keep < 0 {
		return nil, fmt.Errorf("audit.keep=%d: want 0 or more", p.Keep)
	}
	return func(next protocol.Invoker) protocol.Invoker {
		return protocol.InvokerFunc(func(ctx context.Context, c *protocol.Invocation) error {
			err := next.Invoke(ctx, c)
			r := Record{Method: c.Method.Name, Outcome: "ok"}
			if peer := protocol.Peer(ctx); peer != nil {
				r.Peer = peer.String()
			}
			if err != nil {
				r.Outcome = protocol.OutcomeOf(err).String()
			}
			l.add(r, err != nil, p.Keep)
			return err
		})
	}, nil
}

func (l *Log) add(r Record, failed bool, keep int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.calls++
	if failed {
		l.failed++
	}
	l.records = append(l.records, r)
	if over := len(l.records) - keep; over > 0 {
		l.records = slices.Delete(l.records, 0, over)
	}
}

// Counts returns the number of calls and of those that failed.
func (l *Log) Counts() (calls, failed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.calls, l.failed
}

// Records returns the last calls, the oldest first.
func (l *Log) Records() []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.records)
}
