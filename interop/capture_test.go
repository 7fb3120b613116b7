package interop

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/interop/fleet"
)

// TestCapture writes what the Java programs send for each kind of call, and when they shut down, to the golden vectors. It is
// asked for by INTEROP_FRAMES alone; protocol/dubbo's tests read the files.
func TestCapture(t *testing.T) {
	if os.Getenv("INTEROP_FRAMES") == "" {
		return
	}
	for _, line := range lines {
		if !wanted(line) {
			continue
		}
		t.Run(line, func(t *testing.T) {
			peer := java(t, line)
			f := newFrames(peer)
			f.events = true
			s := serve(t, "", "ferry")
			consumer := peer.start(t, "Consumer", "url=dubbo://"+f.proxy(t, s.URLs()[0].Address(), "request"), "application=consumer")
			consumer.tell("calls")
			consumer.stop()
			closeServer(t, s)

			port := freePort(t)
			provider := peer.start(t, "Provider", "port="+port)
			c := client(t, "", ferry.Direct("dubbo://"+f.proxy(t, "127.0.0.1:"+port, "response")), ferry.Timeout(5*time.Second))
			capturedCalls(t, &callCells{c: c, address: "dubbo://127.0.0.1:" + port})
			provider.stop() // with READONLY
			require.NoError(t, c.Close())
			require.NoError(t, f.saveCalls())
		})
	}
}

// capturedCalls makes the calls whose answers are kept; the cells judge them elsewhere.
func capturedCalls(t *testing.T, x *callCells) {
	var err error
	x.ref, err = x.c.Refer(fleet.CallsService, ferry.Method("sleep", ferry.Timeout(time.Second))...)
	require.NoError(t, err)
	require.NoError(t, fleet.RegisterCallsTypes(x.c.Types()))
	x.calls = fleet.NewCalls(x.ref)
	x.generic, err = x.c.Generic(fleet.CallsService.Name)
	require.NoError(t, err)
	for _, run := range []func(context.Context) error{x.overloads, x.calls.Nothing, x.attachments, x.echo, x.family, x.checked, x.custom,
		x.failure("runtime", "", ""), x.failure("cause", "", ""), x.failure("empty", "", ""), x.unknown, x.genericCalls, x.genericMaps, x.genericFailure, x.later, x.tooBigBack} {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		_ = run(ctx)
		cancel()
	}
}

// saveCalls writes one frame of each shape.
func (f *frames) saveCalls() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	var b strings.Builder
	e := json.NewEncoder(&b)
	b.WriteString("[\n")
	seen := map[string]int{}
	for _, one := range f.list {
		raw, err := hex.DecodeString(one.Hex)
		if err != nil {
			return err
		}
		key := one.Kind + one.Method + string(raw[2:4]) + string(raw[headerLen:min(len(raw), headerLen+1)])
		if one.Kind == "request" { // each descriptor
			key += string(bytes.Join(bytes.SplitN(raw[headerLen:], []byte("0.0.0"), 2)[1:], nil))
		}
		const most = 4 // of a shape
		if seen[key]++; seen[key] > most || one.Kind == "request" && seen[key] > 1 {
			continue
		}
		if b.Len() > 2 {
			b.WriteString(",")
		}
		one.Sample = "" // of Types alone
		if err := e.Encode(one); err != nil {
			return err
		}
	}
	b.WriteString("]\n")
	return os.WriteFile(filepath.Join("..", "protocol", "dubbo", "testdata", "captured", "calls"+f.peer.line+".json"), []byte(b.String()), 0o644)
}
