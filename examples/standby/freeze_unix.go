//go:build unix

package main

import (
	"errors"
	"os"
	"syscall"
)

// freeze stops a child process, and returns when it stands still: until then its threads may go on for a while. thaw lets it go on.
func freeze(p *os.Process) (thaw func() error, err error) {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return nil, err
	}
	var status syscall.WaitStatus
	for err = syscall.EINTR; errors.Is(err, syscall.EINTR); {
		_, err = syscall.Wait4(p.Pid, &status, syscall.WUNTRACED, nil)
	}
	return func() error { return p.Signal(syscall.SIGCONT) }, err
}
