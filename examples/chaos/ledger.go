package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
)

// A ledger is a provider's list of what it executed, one line per call. A line is in the kernel's hands before the call is
// answered, so that it survives SIGKILL.
type ledger struct {
	f      *os.File
	forget int64 // one line in so many is left out, 0: none; a sabotage
	lines  atomic.Int64
}

func openLedger(path string, forget int64) (*ledger, error) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, err
	}
	return &ledger{f: f, forget: forget}, nil
}

// write notes that a method runs for a call.
func (l *ledger) write(method, id string) error {
	if n := l.lines.Add(1); l.forget > 0 && n%l.forget == 0 {
		return nil
	}
	_, err := l.f.WriteString(method + " " + id + "\n") // one write, which O_APPEND makes one line
	return err
}

// readLedgers counts executions by "method id", over all files.
func readLedgers(paths []string) (map[string]int, error) {
	counts := map[string]int{}
	for _, path := range paths {
		b, err := os.ReadFile(path)
		if err != nil {
			return nil, err
		}
		for s := bufio.NewScanner(bytes.NewReader(b)); s.Scan(); {
			if !strings.Contains(s.Text(), " ") {
				return nil, fmt.Errorf("ledger %s: line %q: want method and id", path, s.Text())
			}
			counts[s.Text()]++
		}
	}
	return counts, nil
}
