package main

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/go-zookeeper/zk"
	"github.com/stretchr/testify/require"
)

type silent struct{}

func (silent) Printf(string, ...any) {}

// TestDevServesUntilItIsStopped talks to the server that ferry dev announces, as any ZooKeeper client would.
func TestDevServesUntilItIsStopped(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	out, in := io.Pipe()
	ended := make(chan error, 1)
	go func() { ended <- dev(ctx, "127.0.0.1:0", in) }()
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(t, err)
	_, address, ok := strings.Cut(strings.TrimSpace(line), "zookeeper://")
	require.True(t, ok, line)

	c, events, err := zk.Connect([]string{address}, 10*time.Second, zk.WithLogger(silent{}))
	require.NoError(t, err)
	for e := range events {
		if e.State == zk.StateHasSession {
			break
		}
	}
	_, err = c.Create("/dubbo", []byte("kept in memory"), 0, zk.WorldACL(zk.PermAll))
	require.NoError(t, err)
	got, _, err := c.Get("/dubbo")
	require.NoError(t, err)
	require.Equal(t, "kept in memory", string(got))
	c.Close()

	cancel()
	require.NoError(t, <-ended)
	_, err = net.DialTimeout("tcp", address, time.Second)
	require.Error(t, err, "the port is closed")
}

func TestDevFailsWithOneLine(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	taken := l.Addr().String()
	for _, c := range []struct {
		args []string
		want []string
	}{
		{[]string{"dev", "-addr", taken}, []string{"ferry dev: ", taken, "in use"}},
		{[]string{"dev", "-addr", "127.0.0.1:99999"}, []string{"ferry dev: ", "99999"}},
		{[]string{"dev", "now"}, []string{`unexpected argument "now"`}},
	} {
		var out, errs bytes.Buffer
		require.Equal(t, 1, dispatch(c.args, &out, &errs), c.args)
		require.Equal(t, 1, strings.Count(errs.String(), "\n"), errs.String())
		for _, w := range c.want {
			require.Contains(t, errs.String(), w)
		}
		require.Empty(t, out.String())
	}
}

func TestDevShowsItsFlags(t *testing.T) {
	var out, errs bytes.Buffer
	require.Equal(t, 0, dispatch([]string{"dev", "-h"}, &out, &errs))
	require.Contains(t, out.String(), "127.0.0.1:2181")
	require.Empty(t, errs.String())
}
