//go:build unix

package main

import (
	"os"
	"syscall"
)

// freeze stops a process; thaw lets it go on.
func freeze(p *os.Process) (thaw func() error, err error) {
	return func() error { return p.Signal(syscall.SIGCONT) }, p.Signal(syscall.SIGSTOP)
}
