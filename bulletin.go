package ferry

import (
	"context"
	"reflect"
	"sync"

	"github.com/ferryrpc/ferry/registry"
)

// A bulletin shares the texts of a registry among the references of a client, so that each is watched once.
type bulletin struct {
	rules registry.Rules

	mu     sync.Mutex // guards boards
	boards map[string]*board
}

// A board is one text with those who follow it. Its mutex is held while they are told, so that each hears one version
// after the other; they must not call watch or stop from there.
type board struct {
	cancel context.CancelFunc
	users  int // guarded by bulletin.mu

	mu      sync.Mutex // guards the following
	known   bool
	text    []byte
	readers map[*reader]struct{}
}

type reader struct{ notify func([]byte) }

// newBulletin returns nil for a registry that has no texts.
func newBulletin(reg registry.Registry) *bulletin {
	rules, ok := reg.(registry.Rules)
	if !ok {
		return nil
	}
	return &bulletin{rules: rules, boards: map[string]*board{}}
}

// bulletinOf finds or makes the bulletin of a registry. One whose value is no key of a map has its texts watched by each
// reference alone.
func bulletinOf(known map[registry.Registry]*bulletin, reg registry.Registry) *bulletin {
	if !reflect.ValueOf(reg).Comparable() {
		return newBulletin(reg)
	}
	b, ok := known[reg]
	if !ok {
		b = newBulletin(reg)
		known[reg] = b
	}
	return b
}

// watch has notify told of the text at key, now if it is known and at each change, until stop is called. No notify runs
// after stop returned.
func (b *bulletin) watch(key string, notify func([]byte)) (stop func(), err error) {
	b.mu.Lock()
	d := b.boards[key]
	if d == nil {
		ctx, cancel := context.WithCancel(context.Background())
		d = &board{cancel: cancel, readers: map[*reader]struct{}{}}
		if err := b.rules.Watch(ctx, key, d.post); err != nil {
			cancel()
			b.mu.Unlock()
			return nil, err
		}
		b.boards[key] = d
	}
	d.users++
	b.mu.Unlock()
	r := &reader{notify}
	d.mu.Lock()
	d.readers[r] = struct{}{}
	if d.known {
		notify(d.text)
	}
	d.mu.Unlock()
	return sync.OnceFunc(func() {
		d.mu.Lock()
		delete(d.readers, r)
		d.mu.Unlock()
		b.mu.Lock()
		defer b.mu.Unlock()
		if d.users--; d.users == 0 {
			d.cancel()
			delete(b.boards, key)
		}
	}), nil
}

// post takes a new version of the text.
func (d *board) post(text []byte) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.known, d.text = true, text
	for r := range d.readers {
		r.notify(text)
	}
}
