//go:build !linux

package zktest

import (
	"os"
	"syscall"
)

func dieWithParent() *syscall.SysProcAttr { return nil }

// Halt stops a child process with SIGSTOP. It may go on for a moment.
func Halt(p *os.Process) error { return p.Signal(syscall.SIGSTOP) }
