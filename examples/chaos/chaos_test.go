package main

import (
	"bytes"
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry/internal/leak"
	"github.com/ferryrpc/ferry/internal/zktest"
	"github.com/ferryrpc/ferry/protocol"
)

func TestMain(m *testing.M) { leak.Main(m) }

// The tests' schedule: shorter, but with the same faults, and a timeout that a busy machine keeps.
func short(more ...string) []string {
	return append([]string{"-duration", "20s", "-outage", "9s", "-session", "3s", "-timeout", "1s", "-rate", "700"}, more...)
}

// build makes the program as "go run" does.
func build(t *testing.T) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "chaos")
	text, err := exec.Command("go", "build", "-o", program, ".").CombinedOutput()
	require.NoError(t, err, "%s", text)
	return program
}

// start runs the program to its end and returns what it printed, and its error, which has the exit code.
func start(t *testing.T, program string, args ...string) (out, errs string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.WaitDelay = time.Second // its providers hold its output open
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	return stdout.String(), stderr.String(), err
}

func TestShopSurvives(t *testing.T) {
	program := build(t)
	survives := func(t *testing.T, args ...string) {
		out, errs, err := start(t, program, short(args...)...)
		require.NoError(t, err, "%s%s", out, errs)
		require.Contains(t, out, "PASSED: every promise was kept")
		for _, line := range []string{
			`\d{4,} idempotent calls: 0 failed`,
			`\d+ executions of calls that are not idempotent in the ledgers, 0 of them more than once`,
			`registrations: 6 of 6 lists have exactly the providers that run, \S+ after the end`,
			`\* ZooKeeper goes away`, `\* ZooKeeper comes back`,
		} {
			require.Regexp(t, line, out)
		}
		for _, service := range services() {
			for _, fault := range []string{`SIGKILL to `, `SIGSTOP to `, `graceful restart of `} {
				require.Regexp(t, `(?m)s  \* `+fault+service+`-\d`, out)
			}
		}
		started := regexp.MustCompile(`(?m)^\w+-\d serves at 127\.0\.0\.1:\d+, process (\d+)$`).FindAllStringSubmatch(out, -1)
		require.Len(t, started, 12, "six, and each replaced once")
		for _, m := range started {
			pid, err := strconv.Atoi(m[1])
			require.NoError(t, err)
			require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "a provider is left")
		}
	}
	t.Run("embedded ZooKeeper", func(t *testing.T) { t.Parallel(); survives(t) })
	t.Run("real ZooKeeper", func(t *testing.T) {
		t.Parallel()
		survives(t, "-registry", "zookeeper://"+zktest.Start(t, zktest.Options{}).Addr())
	})
	// With repeats of calls that may have run, the schedule must lead to calls that ran twice, and the program must say so.
	t.Run("it can fail", func(t *testing.T) {
		t.Parallel()
		out, errs, err := start(t, program, short("-duration", "10s", "-outage", "7s", "-calls", "100", "-sabotage", "repeat")...)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit, "%s%s", out, errs)
		require.Equal(t, 1, exit.ExitCode())
		require.Regexp(t, `(?m)^chaos: FAILED: \d+ calls that are not idempotent were executed more than once, one of them: \w+ \w+-\d+ \(\d times\)$`, errs)
		require.NotContains(t, out, "PASSED")
	})
}

func TestFailureIsOneLine(t *testing.T) {
	program := build(t)
	for want, args := range map[string][]string{
		"chaos: unknown sabotage \"x\": want repeat, failfast, absent, forget\n": {"-sabotage", "x"},
		"chaos: want 0 < outage < duration, and a rate and timeout over 0\n":     {"-outage", "70s"},
		"chaos: registry memory://x: want zookeeper://host:port\n":               {"-registry", "memory://x"},
	} {
		_, errs, err := start(t, program, args...)
		var exit *exec.ExitError
		require.ErrorAs(t, err, &exit)
		require.Equal(t, 1, exit.ExitCode())
		require.Equal(t, want, errs)
	}
}

// TestVerdict breaks each promise once.
func TestVerdict(t *testing.T) {
	failed := func(o protocol.Outcome) error { return &protocol.Error{Outcome: o} }
	idempotent, other := record{method: "price", id: "price-1", idempotent: true}, record{method: "charge", id: "charge-2"}
	with := func(r record, err error) record { r.err = err; return r }
	wrong := idempotent
	wrong.wrong = "price price-9"
	for name, test := range map[string]struct {
		records  []record
		executed map[string]int
		want     []string
	}{
		"all is well":         {[]record{idempotent, other}, map[string]int{"price price-1": 2, "charge charge-2": 1}, nil},
		"unknown, ran":        {[]record{idempotent, with(other, failed(protocol.OutcomeUnknown))}, map[string]int{"price price-1": 1, "charge charge-2": 1}, nil},
		"unknown, did not":    {[]record{idempotent, with(other, failed(protocol.OutcomeUnknown))}, map[string]int{"price price-1": 1}, nil},
		"not run":             {[]record{idempotent, with(other, failed(protocol.NotSent))}, map[string]int{"price price-1": 1}, nil},
		"idempotent failed":   {[]record{with(idempotent, failed(protocol.NotSent)), other}, map[string]int{"charge charge-2": 1}, []string{"1 idempotent calls failed, the first: price-1"}},
		"twice":               {[]record{idempotent, other}, map[string]int{"price price-1": 1, "charge charge-2": 2}, []string{"1 calls that are not idempotent were executed more than once, one of them: charge charge-2 (2 times)"}},
		"twice below":         {[]record{idempotent, other}, map[string]int{"price price-1": 1, "charge charge-2": 1, "charge place-3": 2}, []string{"executed more than once, one of them: charge place-3"}},
		"answered, never ran": {[]record{idempotent, other}, map[string]int{"price price-1": 1}, []string{"1 calls were answered that no ledger knows, the first: charge-2"}},
		"executed, never ran": {[]record{idempotent, with(other, errors.New("sold out"))}, map[string]int{"price price-1": 1}, []string{"1 calls failed as executed that no ledger knows"}},
		"not started, ran":    {[]record{idempotent, with(other, failed(protocol.NotStarted))}, map[string]int{"price price-1": 1, "charge charge-2": 1}, []string{"1 calls failed as not run, but ran"}},
		"another's answer":    {[]record{wrong, other}, map[string]int{"price price-1": 1, "charge charge-2": 1}, []string{"1 calls got the answer of another"}},
		"too few":             {[]record{idempotent}, map[string]int{"price price-1": 1}, []string{"only 0 calls of a kind, want 1"}},
	} {
		t.Run(name, func(t *testing.T) {
			var v verdict
			v.calls(test.records, test.executed, 1)
			if test.want == nil {
				require.NoError(t, v.err())
				return
			}
			require.Len(t, v.problems, len(test.want), "%v", v.problems)
			for i, want := range test.want {
				require.Contains(t, v.problems[i], want)
			}
		})
	}
}

func TestLedgerOutlivesItsProcess(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ledger")
	for range 2 { // a second process goes on with the same file
		l, err := openLedger(path, 0)
		require.NoError(t, err)
		text, err := l.done("charge", "charge-1")
		require.NoError(t, err)
		require.Equal(t, answer("charge", "charge-1"), text)
		require.NoError(t, l.f.Close())
	}
	counts, err := readLedgers([]string{path})
	require.NoError(t, err)
	require.Equal(t, map[string]int{"charge charge-1": 2}, counts)
	require.NoError(t, os.WriteFile(path, []byte("rubbish\n"), 0o600))
	_, err = readLedgers([]string{path})
	require.ErrorContains(t, err, `line "rubbish"`)
}
