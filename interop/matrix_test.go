package interop

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// The directions of a cell.
const (
	fromFerry = "Ferry → peer"
	toFerry   = "peer → Ferry"
)

// A cell is one line of the matrix.
type cell struct{ name, peer, direction, result string }

// matrix collects the cells of a run.
var matrix struct {
	mu    sync.Mutex
	cells []cell
	bad   int
}

// report prints a cell and fails the test when err says that it failed.
func report(t *testing.T, name, peer, direction string, err error) {
	t.Helper()
	result := "ok"
	if err != nil {
		result = "FAILED: " + strings.ReplaceAll(err.Error(), "\n", " ")
		t.Errorf("%s, %s, %s: %v", name, peer, direction, err)
	}
	fmt.Printf("%-44s %-14s %-14s %s\n", name, peer, direction, result)
	matrix.mu.Lock()
	defer matrix.mu.Unlock()
	matrix.cells = append(matrix.cells, cell{name, peer, direction, result})
	if err != nil {
		matrix.bad++
	}
}

// note adds a cell that holds although the peer cannot do what it asks.
func note(name, peer, direction, why string) {
	fmt.Printf("%-44s %-14s %-14s %s\n", name, peer, direction, why)
	matrix.mu.Lock()
	defer matrix.mu.Unlock()
	matrix.cells = append(matrix.cells, cell{name, peer, direction, why})
}

const head = `# Interoperability

What ` + "`make interop`" + ` found when it last ran whole: Ferry and the real programs, in both directions, on loopback. Each row is one test.
The peers are built from ` + "`interop/java` and `interop/dubbogo`" + `; ZooKeeper is Debian's. What the real programs taught us about the
wire is in [dubbo-wire-notes.md](dubbo-wire-notes.md).

`

// write makes docs/interop.md out of a whole run: a row per cell, a column per peer and direction.
func write(file string) error {
	var names, columns []string
	at := map[string]string{}
	for _, c := range matrix.cells {
		column := c.peer + ", " + c.direction
		if !slices.Contains(names, c.name) {
			names = append(names, c.name)
		}
		if !slices.Contains(columns, column) {
			columns = append(columns, column)
		}
		at[c.name+"\x00"+column] = strings.ReplaceAll(c.result, "|", "/")
	}
	slices.Sort(names)
	slices.Sort(columns)
	var b strings.Builder
	b.WriteString(head)
	fmt.Fprintf(&b, "%d cells, %d failed.\n\n| cell | %s |\n|---%s|\n", len(matrix.cells), matrix.bad, strings.Join(columns, " | "), strings.Repeat("|---", len(columns)))
	for _, n := range names {
		b.WriteString("| " + n)
		for _, c := range columns {
			b.WriteString(" | " + at[n+"\x00"+c])
		}
		b.WriteString(" |\n")
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return err
	}
	return os.WriteFile(file, []byte(b.String()), 0o644)
}
