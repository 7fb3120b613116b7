package main

import (
	"context"
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// Idle connections of the server of Ferry, and of a peer, whose client needs more time to open them.
const (
	idleOurs  = 10_000
	idlePeers = 2_000
)

// idle is what connections cost a server that do nothing after one call: memory of its process, without the kernel's.
type idle struct {
	Framework   string     `json:"framework"`
	Group       peer.Group `json:"group"`
	Connections int        `json:"connections"`
	Base        float64    `json:"base_mib"`   // with one connection
	Full        float64    `json:"full_mib"`   // with all
	Each        float64    `json:"each_kib"`   // of the difference
	Goroutines  int        `json:"goroutines"` // with all
	Err         string     `json:"err,omitempty"`
}

// idle measures one framework: a client with one connection warms the server up and stays, then another opens the rest.
func (b *bench) idle(ctx context.Context, e peer.Entry) idle {
	out := idle{Framework: e.Name(), Group: e.Group, Connections: idleOurs}
	if e.Group == peer.Peer {
		out.Connections = idlePeers
	}
	if err := b.measureIdle(ctx, e, &out); err != nil {
		out.Err = err.Error()
	}
	return out
}

func (b *bench) measureIdle(ctx context.Context, e peer.Entry, out *idle) error {
	ctx, cancel := context.WithTimeout(ctx, childLife)
	defer cancel()
	o, err := b.order(e, point{ID: "idle", Kind: kindIdle, Size: 128, Conns: 1, Callers: 1}, 0)
	if err != nil {
		return err
	}
	server, err := startProcess(ctx, o)
	if err != nil {
		return err
	}
	defer server.stop()
	if _, err := server.listen(); err != nil {
		return err
	}
	var rss [2]float64
	for i, n := range []int{1, out.Connections} {
		o.Role, o.Point.Conns, o.Point.Callers = "client", n, n
		client, err := startProcess(ctx, o)
		if err != nil {
			return err
		}
		defer client.stop()
		if _, err := client.listen(); err != nil {
			return err
		}
		settled, err := server.ask(ask{Do: "settle"})
		if err != nil {
			return err
		}
		rss[i], out.Goroutines = float64(settled.Usage.RSS)/(1<<20), settled.Goroutines
	}
	out.Base, out.Full = rss[0], rss[1]
	out.Each = (out.Full - out.Base) * 1024 / float64(out.Connections)
	return nil
}

// line is the figure in one line, for whoever watches.
func (i idle) line() string {
	if i.Err != "" {
		return fmt.Sprintf("%-10s %-18s %s", "idle", i.Framework, i.Err)
	}
	return fmt.Sprintf("%-10s %-18s %d connections: %.1f MiB, %.1f more than with one: %.2f KiB each", "idle", i.Framework, i.Connections, i.Full, i.Full-i.Base, i.Each)
}

// idleTable is a table of idle connections in Markdown.
func idleTable(all []idle) string {
	if len(all) == 0 {
		return ""
	}
	var b strings.Builder
	b.WriteString("| idle connections of a server | number | KiB each | MiB with one, with all | goroutines |\n|---|---|---|---|---|\n")
	for _, i := range all {
		if i.Err != "" {
			fmt.Fprintf(&b, "| %s | %d | failed: %s | | |\n", i.Framework, i.Connections, oneLine(i.Err))
			continue
		}
		fmt.Fprintf(&b, "| %s | %d | %.1f | %.0f, %.0f | %d |\n", i.Framework, i.Connections, i.Each, i.Base, i.Full, i.Goroutines)
	}
	return b.String()
}
