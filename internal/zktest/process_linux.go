package zktest

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

func dieWithParent() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL} }

// haltLimit is how long a process may take to stand still.
const haltLimit = 30 * time.Second

// Halt stops a child process with SIGSTOP and returns when it stands still: until then its threads may go on for a while. SIGCONT
// lets it go on.
func Halt(p *os.Process) error {
	if err := p.Signal(syscall.SIGSTOP); err != nil {
		return err
	}
	look := time.NewTicker(time.Millisecond)
	defer look.Stop()
	for end := time.Now().Add(haltLimit); ; <-look.C {
		still, err := halted(p.Pid)
		if still || err != nil {
			return err
		}
		if time.Now().After(end) {
			return fmt.Errorf("zktest: process %d goes on %v after SIGSTOP", p.Pid, haltLimit)
		}
	}
}

// halted says whether all threads of a process are stopped.
func halted(pid int) (bool, error) {
	tasks, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	if err != nil {
		return false, err
	}
	for _, t := range tasks {
		b, err := os.ReadFile(t)
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) {
			return false, nil // a thread has just ended
		}
		if err != nil {
			return false, err
		}
		// <id> (<name>) <state> …, and the name may hold anything
		switch state := b[bytes.LastIndexByte(b, ')')+1:]; {
		case bytes.HasPrefix(state, []byte(" T")):
		case bytes.HasPrefix(state, []byte(" Z")), bytes.HasPrefix(state, []byte(" X")):
			return false, fmt.Errorf("zktest: process %d is dead", pid)
		default:
			return false, nil
		}
	}
	if len(tasks) == 0 {
		return false, fmt.Errorf("zktest: there is no process %d", pid)
	}
	return true, nil
}
