package lock

import (
	"math"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestNamesAreCurators(t *testing.T) {
	require.Regexp(t, regexp.MustCompile(`^_c_[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}-$`), newPrefix())
	for name, want := range map[string]contender{
		"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-lock-0000000007":    {mark: exclusiveMark, number: 7},
		"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-__READ__0000000012": {mark: readMark, number: 12},
		"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-__WRIT__2147483647": {mark: writeMark, number: math.MaxInt32},
		"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-lock--2147483648":   {mark: exclusiveMark, number: math.MinInt32},
		"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-lock--000000005":    {mark: exclusiveMark, number: -5},
		"lock-0000000003": {mark: exclusiveMark, number: 3}, // unprotected
		"_c_0123456789abcdef0123456789abcdef-lock-0000000001": {mark: exclusiveMark, number: 1},
	} {
		n, ok := parseName(name)
		want.name = name
		require.True(t, ok, name)
		require.Equal(t, want, n)
	}
	for _, foreign := range []string{"", "lock", "lock-", "lock-1", "_c_", "leases", "lock-00000000x1", "lock-99999999999", "lock-+000000001", "config"} {
		_, ok := parseName(foreign)
		require.False(t, ok, foreign)
	}
}

func TestPredecessor(t *testing.T) {
	const p = "_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-"
	for _, c := range []struct {
		children  []string
		own, want string
		absent    bool
	}{
		{children: []string{p + "lock-0000000001"}, own: p + "lock-0000000001"},
		{children: []string{p + "lock-0000000003", "z-lock-0000000001", "a-lock-0000000002"}, own: p + "lock-0000000003", want: "a-lock-0000000002"},
		{children: []string{p + "lock-0000000003"}, own: p + "lock-0000000004", want: p + "lock-0000000003", absent: true},
		{children: []string{p + "lock-0000000003", "notes", "lock-5", "_c_x"}, own: p + "lock-0000000003"}, // foreign nodes do not count
		// a reader waits for the nearest writer before it, a writer for everybody
		{children: []string{"a__READ__0000000001", "b__WRIT__0000000002", "c__READ__0000000003", p + "__READ__0000000004", "d__WRIT__0000000005"},
			own: p + "__READ__0000000004", want: "b__WRIT__0000000002"},
		{children: []string{"a__READ__0000000001", p + "__READ__0000000004"}, own: p + "__READ__0000000004"},
		{children: []string{"a__READ__0000000001", p + "__WRIT__0000000004"}, own: p + "__WRIT__0000000004", want: "a__READ__0000000001"},
		// a plain mutex and a readers-writer lock on one path exclude each other
		{children: []string{"a-lock-0000000001", p + "__READ__0000000004"}, own: p + "__READ__0000000004", want: "a-lock-0000000001"},
		// the read lock of a writer who downgrades has the writer's number and keeps the next one waiting
		{children: []string{"a__READ__0000000002", p + "__WRIT__0000000003"}, own: p + "__WRIT__0000000003", want: "a__READ__0000000002"},
		// the servers' count runs over
		{children: []string{"a-lock-2147483647", p + "lock--2147483648"}, own: p + "lock--2147483648", want: "a-lock-2147483647"},
		{children: []string{"a-lock--000000005", p + "lock-0000000000"}, own: p + "lock-0000000000", want: "a-lock--000000005"},
	} {
		own, ok := parseName(c.own)
		require.True(t, ok)
		name, present := predecessor(c.children, own)
		require.Equal(t, c.want, name, c)
		require.Equal(t, !c.absent, present, c)
	}
}

func FuzzParseName(f *testing.F) {
	for _, s := range []string{"_c_0b4bd4b2-15dc-4d17-9a6c-7b2c9b6dd0f1-lock-0000000007", "__READ__-000000001", "_c_", "lock-"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		n, ok := parseName(name)
		if !ok {
			return
		}
		require.Equal(t, name, n.name)
		require.False(t, n.before(n))
		again, ok := parseName("x" + n.mark + n.digits())
		require.True(t, ok)
		require.Equal(t, n.number, again.number)
	})
}

func FuzzParseFence(f *testing.F) {
	f.Add("000102030405060708090a0b0c0d0e0f:42")
	f.Add(":")
	f.Fuzz(func(t *testing.T, text string) {
		if fence, err := ParseFence(text); err == nil {
			again, err := ParseFence(fence.String())
			require.NoError(t, err)
			require.Equal(t, fence, again)
		}
	})
}
