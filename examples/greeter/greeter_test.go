package greeter_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
)

func TestMain(m *testing.M) { leak.Main(m) }

const patience = 30 * time.Second

// TestTwoTerminals does what the README says, each program a process of its own: a ZooKeeper, a provider, a consumer.
func TestTwoTerminals(t *testing.T) {
	t.Run("ferry dev", func(t *testing.T) {
		dev := start(t, build(t, "../../cmd/ferry", ""), "dev", "-addr", "127.0.0.1:0")
		line, err := dev.out.ReadString('\n')
		require.NoError(t, err)
		_, address, ok := strings.Cut(strings.TrimSpace(line), "zookeeper://")
		require.True(t, ok, line)
		twoTerminals(t, address)
		dev.stop(t)
	})
	t.Run("real ZooKeeper", func(t *testing.T) { twoTerminals(t, zktest.Start(t, zktest.Options{}).Addr()) })
}

func twoTerminals(t *testing.T, address string) {
	c := connect(t, address)
	defer c.Close()
	provider := start(t, build(t, "provider", address))
	require.Eventually(t, func() bool { return len(providers(t, c)) == 1 }, patience, 10*time.Millisecond, "%s", &provider.errs)
	require.Contains(t, providers(t, c)[0], "dubbo%3A%2F%2F127.0.0.1%3A")

	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	consumer := exec.CommandContext(ctx, build(t, "consumer", address))
	consumer.Env = environment(t)
	text, err := consumer.CombinedOutput()
	require.NoError(t, err, "%s", text)
	require.Equal(t, "Hello, world <nil>\n", string(text))

	provider.stop(t)
	require.Empty(t, providers(t, c), "the entry is gone when the process is, without a session's timeout")
}

// build makes a program; its fixed address becomes another in a copy that stands in for main.go, since the port may be taken.
func build(t *testing.T, folder, address string) string {
	t.Helper()
	dir := t.TempDir()
	program := filepath.Join(dir, filepath.Base(folder))
	args := []string{"build", "-o", program}
	if address != "" {
		const fixed = "127.0.0.1:2181"
		file, err := filepath.Abs(filepath.Join(folder, "main.go"))
		require.NoError(t, err)
		source, err := os.ReadFile(file)
		require.NoError(t, err)
		require.Equal(t, 1, bytes.Count(source, []byte(fixed)))
		replaced := filepath.Join(dir, "main.go")
		require.NoError(t, os.WriteFile(replaced, bytes.ReplaceAll(source, []byte(fixed), []byte(address)), 0o644))
		overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{file: replaced}})
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, "overlay.json"), overlay, 0o644))
		args = append(args, "-overlay", filepath.Join(dir, "overlay.json"))
	}
	text, err := exec.Command("go", append(args, "./"+folder)...).CombinedOutput()
	require.NoError(t, err, "%s", text)
	return program
}

// environment keeps the list of providers, which consumers write to a file, within the test.
func environment(t *testing.T) []string {
	home := t.TempDir()
	return append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
}

// A process is a program that runs until it is stopped.
type process struct {
	cmd  *exec.Cmd
	out  *bufio.Reader
	errs bytes.Buffer
}

func start(t *testing.T, program string, args ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(program, args...)}
	p.cmd.Env, p.cmd.Stderr = environment(t), &p.errs
	out, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.out = bufio.NewReader(out)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		if p.cmd.ProcessState == nil { // the test failed before stop
			_ = p.cmd.Process.Kill()
			_ = p.cmd.Wait()
		}
	})
	return p
}

// stop ends the process as a service manager does and demands that it goes in good order.
func (p *process) stop(t *testing.T) {
	t.Helper()
	kill := time.AfterFunc(patience, func() { _ = p.cmd.Process.Kill() })
	defer kill.Stop()
	require.NoError(t, p.cmd.Process.Signal(syscall.SIGTERM))
	require.NoError(t, p.cmd.Wait(), "%s", &p.errs)
}

type silent struct{}

func (silent) Printf(string, ...any) {}

func connect(t *testing.T, address string) *zk.Conn {
	t.Helper()
	c, events, err := zk.Connect([]string{address}, patience, zk.WithLogger(silent{}))
	require.NoError(t, err)
	for e := range events {
		if e.State == zk.StateHasSession {
			break
		}
	}
	return c
}

// providers are the service's entries in ZooKeeper.
func providers(t *testing.T, c *zk.Conn) []string {
	t.Helper()
	names, _, err := c.Children("/dubbo/com.example.Greeter/providers")
	if err != zk.ErrNoNode {
		require.NoError(t, err)
	}
	return names
}
