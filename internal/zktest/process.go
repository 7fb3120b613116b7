package zktest

import (
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A process is a child and the goroutine that waits for it.
type process struct {
	name string
	log  string
	proc *os.Process
	done chan struct{} // closed when the child has been waited for
}

// spawn starts a child whose output goes to the end of the file log. The child dies with this process.
func spawn(name string, args []string, log string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, fmt.Errorf("zktest: %w", err)
	}
	cmd := exec.Command(name, args...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.SysProcAttr = dieWithParent()
	p := &process{name: name, log: log, done: make(chan struct{})}
	started := make(chan error)
	go func() {
		// "Dies with its parent" means the thread that made it, which therefore has to stay as long as the child.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		p.proc = cmd.Process
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended does not matter: signals end it
		}
		f.Close()
		close(p.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("zktest: start %s: %w", name, err)
	}
	return p, nil
}

func (p *process) exited() bool {
	select {
	case <-p.done:
		return true
	default:
		return false
	}
}

// pause waits for d or the end of the process.
func (p *process) pause(d time.Duration) {
	select {
	case <-p.done:
	case <-time.After(d):
	}
}

func (p *process) signal(s syscall.Signal) error {
	if err := p.proc.Signal(s); err != nil {
		return fmt.Errorf("zktest: %v to %s (%d): %w", s, p.name, p.proc.Pid, err)
	}
	return nil
}

// end sends s and waits; a process that outlives limit is killed and reported.
func (p *process) end(s syscall.Signal, limit time.Duration) error {
	if p.exited() {
		return nil
	}
	_ = p.proc.Signal(s) // fails only if the process ended just now
	select {
	case <-p.done:
		return nil
	case <-time.After(limit):
	}
	_ = p.proc.Kill()
	<-p.done
	return fmt.Errorf("zktest: %s (%d) did not end within %v after %v", p.name, p.proc.Pid, limit, s)
}

// logEnd is the last part of what the process printed.
func (p *process) logEnd() string {
	b, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}
