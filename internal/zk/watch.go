package zk

import (
	"context"
	"sync"

	gozk "github.com/go-zookeeper/zk"
)

// EventType says what happened to a node that is watched.
type EventType int

// The event types.
const (
	Created         = EventType(gozk.EventNodeCreated)
	Deleted         = EventType(gozk.EventNodeDeleted)
	DataChanged     = EventType(gozk.EventNodeDataChanged)
	ChildrenChanged = EventType(gozk.EventNodeChildrenChanged)
	// Lost means that the connection is gone: anything may have happened since. Reading again waits for the next one.
	Lost EventType = 0
)

// An Event is one change of a node.
type Event struct {
	Type EventType
	Path string
}

// A Watch is told of the next change after each read that it is passed to. It is told once per such read, and may be
// passed to any number of them.
type Watch struct {
	fire func(Event)

	mu    sync.Mutex // guards the following
	over  bool
	armed map[watchKey]*link
}

// NewWatch returns a watch that calls fire for each event. fire runs on the goroutine that reads from the connection:
// it must not block and must not call the client.
func NewWatch(fire func(Event)) *Watch { return &Watch{fire: fire, armed: map[watchKey]*link{}} }

// WatchChan returns a watch and the channel on which it reports. The channel has one place; an event that finds it taken
// is dropped, since the reader learns of the change by the one before.
func WatchChan() (*Watch, <-chan Event) {
	ch := make(chan Event, 1)
	return NewWatch(func(e Event) {
		select {
		case ch <- e:
		default:
		}
	}), ch
}

// Stop ends the watch. One call of fire may still be under way.
func (w *Watch) Stop() {
	w.mu.Lock()
	armed := w.armed
	w.over, w.armed = true, nil
	w.mu.Unlock()
	for key, l := range armed {
		l.unwatch(key, w)
	}
}

// StopWith ends the watch when ctx does.
func (w *Watch) StopWith(ctx context.Context) { context.AfterFunc(ctx, w.Stop) }

// arm notes where the watch waits; false when it is over.
func (w *Watch) arm(key watchKey, l *link) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.armed[key] = l
	}
	return !w.over
}

// disarm notes that it no longer waits there; false when it is over.
func (w *Watch) disarm(key watchKey, l *link) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.armed[key] == l { // it may wait on the next connection already
		delete(w.armed, key)
	}
	return !w.over
}

// A watchKey is one entry in a server's watch table: the children of a path, or its existence and data.
type watchKey struct {
	path     string
	children bool
}

// A watchSet are the watches on one key. There is at most one watch on it at the server at a time, however many there
// are here, since a server's watch cannot be taken back.
type watchSet struct {
	watches map[*Watch]struct{}
	setting int  // reads under way that are to set a watch at the server
	armed   bool // a watch is at the server and has not fired
	fired   int  // how often it has fired
}

// A pending watch is one whose read is under way.
type pending struct {
	l     *link
	key   watchKey
	w     *Watch
	fired int
	set   bool // the read has to set a watch at the server
}

// watch enters w before the read, so that no event falls between. w may be nil.
func (l *link) watch(key watchKey, w *Watch) pending {
	p := pending{l: l, key: key, w: w}
	if w == nil || !w.arm(key, l) {
		p.w = nil
		return p
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.watches[key]
	if s == nil {
		s = &watchSet{watches: map[*Watch]struct{}{}}
		l.watches[key] = s
	}
	s.watches[w] = struct{}{}
	p.fired, p.set = s.fired, !s.armed
	if p.set {
		s.setting++
	}
	return p
}

// settle notes whether the read has set the watch.
func (p pending) settle(ok bool) {
	if p.w == nil {
		return
	}
	p.l.mu.Lock()
	s := p.l.watches[p.key]
	if p.set {
		s.setting--
		// An event that overtook us may have been this watch's: then nobody knows whether it is still there.
		s.armed = s.armed || ok && s.fired == p.fired
	}
	p.l.mu.Unlock()
	if !ok {
		p.w.disarm(p.key, p.l)
		p.l.unwatch(p.key, p.w)
	}
}

// asks says whether a read that is being sent is to set a watch.
func (l *link) asks(key watchKey) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.watches[key]
	return s != nil && s.setting > 0
}

func (l *link) unwatch(key watchKey, w *Watch) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.watches[key]; s != nil {
		delete(s.watches, w)
		if len(s.watches) == 0 && !s.armed && s.setting == 0 {
			delete(l.watches, key)
		}
	}
}

// changed tells the watches of a path. It runs before the reply of any later request is seen.
func (l *link) changed(e Event) {
	if e.Type != ChildrenChanged {
		l.fire(watchKey{e.Path, false}, e)
	}
	if e.Type == ChildrenChanged || e.Type == Deleted {
		l.fire(watchKey{e.Path, true}, e)
	}
}

func (l *link) fire(key watchKey, e Event) {
	l.mu.Lock()
	s := l.watches[key]
	if s == nil {
		l.mu.Unlock()
		return
	}
	told := s.watches
	s.watches, s.armed = map[*Watch]struct{}{}, false
	s.fired++
	l.mu.Unlock()
	for w := range told {
		if w.disarm(key, l) {
			w.fire(e)
		}
	}
}

// loseWatches tells every watch that the connection is gone.
func (l *link) loseWatches() {
	l.mu.Lock()
	keys := make([]watchKey, 0, len(l.watches))
	for key := range l.watches {
		keys = append(keys, key)
	}
	l.mu.Unlock()
	for _, key := range keys {
		l.fire(key, Event{Type: Lost, Path: key.path})
	}
}
