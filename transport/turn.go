package transport

const (
	// So many frames are written without waiting for more, or one for each fourth call in flight if that is more.
	enough      = 20
	enoughShare = 4
)

// turn is what a sender does when its frame is queued.
type turn int

const (
	leaves turn = iota // somebody else writes it
	startsFlusher
	yields
	writes
)

// turnLocked says what the sender of a frame does. l.mu must be held.
func (l *Line) turnLocked(calls int) turn {
	switch {
	case l.yielded > 0:
		if l.yielded++; l.yielded < max(enough, calls/enoughShare) {
			return leaves
		}
		l.yielded = 0
		return writes
	case l.writing:
		return leaves
	}
	l.writing = true
	switch {
	case l.waits:
		l.flusher.Add(1)
		return startsFlusher
	case calls > 1:
		l.yielded = 1
		return yields
	}
	return writes
}

// resume says whether the writer that let others go first is still the writer.
func (l *Line) resume() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	still := l.yielded > 0
	l.yielded = 0
	return still
}
