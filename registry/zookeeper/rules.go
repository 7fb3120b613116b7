package zookeeper

import (
	"bytes"
	"context"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/internal/zk"
)

// Watch delivers the text of a governance rule, such as com.example.Greeter::.configurators, until ctx ends. See
// registry.Rules. While the registry does not answer, the last text stays.
func (r *Registry) Watch(ctx context.Context, key string, notify func(text []byte)) error {
	if key == "" || strings.Contains(key, "/") {
		return fmt.Errorf("zookeeper: watch rule %q: not a key", key)
	}
	path := r.root + "/config/dubbo/" + key
	return r.begin(func() {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel()
		defer context.AfterFunc(r.ctx, cancel)()
		r.follow(ctx, "rule", path, notify)
	})
}

func (r *Registry) follow(ctx context.Context, what, path string, notify func([]byte)) {
	watch, events := zk.WatchChan()
	defer watch.Stop()
	var last []byte
	told, failed := false, false
	for {
		text, err := r.rule(ctx, path, watch)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			if !failed { // nobody can be told but the log, and once is enough
				r.log().Warn("zookeeper: "+what+" cannot be read", "error", err)
			}
			failed = true
			pause(ctx, r.p.Retry)
			continue
		case !told || (text == nil) != (last == nil) || !bytes.Equal(text, last):
			told, last = true, text
			notify(bytes.Clone(text))
		}
		failed = false
		connection := r.zk.Status().Connection
		select {
		case <-events:
			if r.lostSince(connection) {
				r.back(ctx)
			} else {
				pause(ctx, batch)
			}
		case <-ctx.Done():
			return
		}
	}
}

// rule reads a text, nil when there is none, and sets the watch in both cases.
func (r *Registry) rule(ctx context.Context, path string, watch *zk.Watch) ([]byte, error) {
	leave, err := r.turn(ctx)
	if err != nil {
		return nil, err
	}
	defer leave()
	text, _, found, err := r.get(ctx, path, watch)
	if err != nil || !found {
		return nil, err
	}
	return append([]byte{}, text...), nil
}
