package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
)

func TestMain(m *testing.M) { leak.Main(m) }

// build makes the program as "go run" does.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "quickstart")
	text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", text)
	return program
}

// start runs the program to its end and returns what it printed, and its error, which has the exit code.
func start(t *testing.T, program string, args ...string) (out, errs string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	home := t.TempDir() // where the provider list is kept
	cmd.Env = append(os.Environ(), "HOME="+home, "XDG_CACHE_HOME="+home)
	cmd.WaitDelay = time.Second // its providers hold its output open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

// TestNoCallIsLost is the promise of the first command that a newcomer types.
func TestNoCallIsLost(t *testing.T) {
	program := build(t)
	t.Run("embedded ZooKeeper", func(t *testing.T) { noCallIsLost(t, program, 30000) })
	t.Run("real ZooKeeper", func(t *testing.T) {
		z := zktest.Start(t, zktest.Options{})
		noCallIsLost(t, program, 6000, "-registry", "zookeeper://"+z.Addr(), "-calls", "6000")
	})
}

func noCallIsLost(t *testing.T, program string, calls int, args ...string) {
	const longest = 20 * time.Second
	begun := time.Now()
	out, errs, err := start(t, program, args...)
	require.NoError(t, err, "%s%s", out, errs)
	require.Less(t, time.Since(begun), longest)
	require.Empty(t, errs)
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	require.Equal(t, "0 lost", lines[len(lines)-1], out)
	require.Contains(t, lines, "provider B is killed with SIGKILL")
	require.Regexp(t, `(?m)^`+strconv.Itoa(calls)+` calls in \S+, \d+ calls/s, p50 \S+, p99 \S+, \d+ retries$`, out)

	served := map[string]int{}
	sum := 0
	for _, m := range regexp.MustCompile(`(?m)^provider (\w) served (\d+)$`).FindAllStringSubmatch(out, -1) {
		served[m[1]], err = strconv.Atoi(m[2])
		require.NoError(t, err)
		sum += served[m[1]]
	}
	require.Equal(t, calls, sum, "each call was answered by one provider")
	for _, name := range []string{"A", "B", "C"} {
		require.Positive(t, served[name], "provider %s", name)
	}
	require.Less(t, served["B"], served["A"], "it was gone for half of the time")
	require.Less(t, served["B"], served["C"])

	started := regexp.MustCompile(`(?m)^provider \w at 127\.0\.0\.1:\d+, process (\d+)$`).FindAllStringSubmatch(out, -1)
	require.Len(t, started, 3, out)
	for _, m := range started {
		pid, err := strconv.Atoi(m[1])
		require.NoError(t, err)
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "a provider is left")
	}
}

func TestFailureIsOneLine(t *testing.T) {
	out, errs, err := start(t, build(t), "-registry", "zookeper://127.0.0.1:1")
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	require.Equal(t, 1, exit.ExitCode())
	require.NotContains(t, out, "lost")
	for line := range strings.Lines(errs) {
		require.True(t, strings.HasPrefix(line, "quickstart: "), errs)
	}
	require.Contains(t, errs, `did you mean "zookeeper"?`)
}
