package ordered

import (
	"fmt"
	"slices"
)

// hashName is written into ZooKeeper: providers that put keys into buckets in another way must not share a service.
const hashName = "fnv1a-splitmix"

func hash(text string) uint64 {
	h := uint64(14695981039346656037)
	for i := range len(text) {
		h = (h ^ uint64(text[i])) * 1099511628211
	}
	return h
}

// mix spreads a number over all bits (the finalizer of splitmix64).
func mix(h uint64) uint64 {
	h = (h ^ h>>30) * 0xbf58476d1ce4e5b9
	h = (h ^ h>>27) * 0x94d049bb133111eb
	return h ^ h>>31
}

func bucketOf(key string) int { return int(mix(hash(key)) % Buckets) }

func bucketName(n int) string { return fmt.Sprintf("b%04d", n) }

// score is how much a bucket belongs to a member: the largest one owns it. When a member comes or goes, only the buckets that it gets
// or had move.
func score(bucket int, member uint64) uint64 {
	return mix(member ^ mix(uint64(bucket)+0x9e3779b97f4a7c15))
}

// A membership is the members at one time with the desired owner of each bucket. It never changes.
type membership struct {
	addresses []string // sorted
	owner     [Buckets]int16
}

func newMembership(addresses []string) *membership {
	m := &membership{addresses: slices.Sorted(slices.Values(addresses))}
	m.addresses = slices.Compact(m.addresses)
	hashes := make([]uint64, len(m.addresses))
	for i, a := range m.addresses {
		hashes[i] = mix(hash(a))
	}
	for b := range m.owner {
		m.owner[b] = -1
		var best uint64
		for i, h := range hashes {
			if s := score(b, h); m.owner[b] < 0 || s > best {
				m.owner[b], best = int16(i), s
			}
		}
	}
	return m
}

// of returns the desired owner of a bucket, or the empty string.
func (m *membership) of(bucket int) string {
	if m == nil || m.owner[bucket] < 0 {
		return ""
	}
	return m.addresses[m.owner[bucket]]
}

// without returns the desired owner of a bucket if one member did not exist.
func (m *membership) without(bucket int, address string) string {
	best, found := uint64(0), ""
	for _, a := range m.addresses {
		if s := score(bucket, mix(hash(a))); a != address && (found == "" || s > best) {
			best, found = s, a
		}
	}
	return found
}
