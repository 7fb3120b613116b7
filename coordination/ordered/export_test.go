package ordered

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

// OwnerOf returns which of some addresses owns a key, by the hash alone.
func OwnerOf(key string, addresses ...string) string {
	return newMembership(addresses).of(bucketOf(key))
}
