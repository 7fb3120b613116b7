package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
)

func TestMain(m *testing.M) { leak.Main(m) }

// TestAllWaysKeepWhatTheyPromise runs the demonstration for a short time; it fails by its own invariants.
func TestAllWaysKeepWhatTheyPromise(t *testing.T) {
	program := filepath.Join(t.TempDir(), "tickets")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", program, ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	said, err := build.CombinedOutput()
	require.NoError(t, err, "%s", said)
	said, err = exec.CommandContext(t.Context(), program, "-for", "3s").CombinedOutput()
	require.NoError(t, err, "%s", said)
	require.Contains(t, string(said), "all ways keep what they promise")
}

func TestTheCheckSeesWhatItShould(t *testing.T) {
	all := ways()
	require.ErrorContains(t, result{sold: 10}.check(all[0]), "the check sees nothing")
	require.NoError(t, result{sold: 10, oversold: 1, late: 1, thawed: 1}.check(all[1]))
	require.NoError(t, result{sold: 10}.check(all[1]), "nobody was overtaken")
	require.ErrorContains(t, result{sold: 10, thawed: 1}.check(all[1]), "the check sees nothing")
	require.ErrorContains(t, result{sold: 10, oversold: 1}.check(all[2]), "sold twice")
	require.ErrorContains(t, result{sold: 10, lost: 2, unknown: 1}.check(all[4]), "lost")
	require.ErrorContains(t, result{}.check(all[3]), "nothing was sold")
	b := &box{left: stock - 3} // tickets stock, stock-1 and stock-2 are gone
	r := count(b, []Sales{{Tickets: []int64{stock, stock - 1}, Micros: []int{1, 2}}, {Tickets: []int64{stock - 1}, Micros: []int{3}, Unknown: 1}}, 1)
	require.Equal(t, []int{3, 1, 1, 1}, []int{r.sold, r.oversold, r.lost, r.unknown})
}
