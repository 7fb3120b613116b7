package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// process is a child of this program: a client or a server. stop must be called.
type process struct {
	role   string
	cmd    *exec.Cmd
	asks   *json.Encoder
	says   *json.Decoder
	stdin  io.Closer
	out    *os.File
	noise  *tail // what it printed
	cancel context.CancelFunc
}

// startProcess runs this program again with an order. The child dies with ctx, and with this process.
func startProcess(ctx context.Context, o order) (*process, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("peers: %w", err)
	}
	text, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer write.Close()
	ctx, cancel := context.WithCancel(ctx)
	cmd := exec.CommandContext(ctx, self, "-child", string(text))
	noise := &tail{}
	cmd.Stdout, cmd.Stderr = noise, noise
	cmd.ExtraFiles = []*os.File{write}
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.WaitDelay = 2 * time.Second
	stdin, err := cmd.StdinPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		cancel()
		read.Close()
		return nil, fmt.Errorf("peers: start %s: %w", o.Role, err)
	}
	return &process{
		role: o.Role, cmd: cmd, asks: json.NewEncoder(stdin), says: json.NewDecoder(read),
		stdin: stdin, out: read, noise: noise, cancel: cancel,
	}, nil
}

// listen waits for the child's next line.
func (p *process) listen() (say, error) {
	var s say
	err := p.says.Decode(&s)
	if err == nil && s.Err != "" {
		err = errors.New(s.Err)
	}
	if err != nil {
		return s, fmt.Errorf("%s: %w%s", p.role, err, p.noise.text())
	}
	return s, nil
}

// ask sends a line and waits for the answer.
func (p *process) ask(a ask) (say, error) {
	if err := p.asks.Encode(a); err != nil {
		return say{}, fmt.Errorf("%s: %w%s", p.role, err, p.noise.text())
	}
	return p.listen()
}

// stop closes the child's standard input, at which it ends, and kills it if it has not ended a second later.
func (p *process) stop() {
	p.stdin.Close()
	t := time.AfterFunc(time.Second, p.cancel)
	p.cmd.Wait()
	t.Stop()
	p.cancel()
	p.out.Close()
}

// tail keeps the last bytes written to it.
type tail struct {
	mu sync.Mutex // guards b
	b  []byte
}

const tailLen = 2 << 10

// Write keeps the end of b.
func (t *tail) Write(b []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, b...)
	if over := len(t.b) - tailLen; over > 0 {
		t.b = append(t.b[:0], t.b[over:]...)
	}
	return len(b), nil
}

// text is what was kept, made to stand behind an error.
func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.TrimSpace(string(t.b))
	if s == "" {
		return ""
	}
	return "; it printed: " + s
}
