package idempotent

import (
	"time"

	"github.com/ferryrpc/ferry/extension"
	"github.com/ferryrpc/ferry/url"
)

// OpenSliced opens a ZooKeeper store whose slices are shorter than a quarter of an hour.
func OpenSliced(address string, slice time.Duration) (*ZooKeeper, error) {
	return newZooKeeper(extension.Env{}, url.MustParse(address), slice)
}

// At moves a ZooKeeper store's clock.
func (s *ZooKeeper) At(now func() time.Time) { s.now = now }

// At moves a Memory's clock.
func (m *Memory) At(now func() time.Time) { m.now = now }

// Unlimited takes the bound on records a second away.
func (s *ZooKeeper) Unlimited() { s.limit.rate, s.limit.burst = 1e9, 1e9 }
