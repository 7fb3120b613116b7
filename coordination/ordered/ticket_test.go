package ordered

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestTickets(t *testing.T) {
	for _, want := range []arrival{{epoch: "1f.00ff", client: "abc", seq: 7, base: 3, key: "k"}, {client: "c", seq: 1, base: 1, key: "a key with  spaces \n"}, {client: "c", seq: 1, base: 1}} {
		got, err := readTicket(ticket(want.epoch, want.client, want.seq, want.base, want.key))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	for _, bad := range []string{"", "e c 1 1", "e c x 1 k", "e c 1 x k", "e c 1 0 k", "e c 1 2 k", "e  1 1 k", "e c -1 1 k", "e c 99999999999999999999 1 k", "e " + strings.Repeat("c", 65) + " 1 1 k"} {
		_, err := readTicket(bad)
		require.ErrorIs(t, err, ErrKey, "%q", bad)
	}
}

func FuzzTicket(f *testing.F) {
	f.Add("1f.00ff abc 7 3 k")
	f.Add("  1 1 ")
	f.Fuzz(func(t *testing.T, s string) {
		a, err := readTicket(s)
		if err != nil {
			return
		}
		again, err := readTicket(ticket(a.epoch, a.client, a.seq, a.base, a.key))
		require.NoError(t, err)
		require.Equal(t, a, again)
	})
}

func TestTicketAllocs(t *testing.T) {
	text := ""
	require.LessOrEqual(t, testing.AllocsPerRun(100, func() { text = ticket("1f.00ff00ff", "abcdefghijklmnopqrstuv", 123456, 123400, "account-17") }), 1.0)
	require.Zero(t, testing.AllocsPerRun(100, func() { _, _ = readTicket(text) }))
}
