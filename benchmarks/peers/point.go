package main

import (
	"fmt"
	"strings"

	"github.com/ferryrpc/ferry/benchmarks/peers/peer"
)

// kind is what the callers of a point do.
type kind string

const (
	kindEcho    kind = "echo"    // closed loop: each caller sends its next message when the reply is there
	kindOneway  kind = "oneway"  // one-way calls, with an echo after each 63 so that no queue grows without bound
	kindRecords kind = "records" // closed loop with structs of 20 fields instead of bytes
	kindOpen    kind = "open"    // open loop: messages are due at times that do not depend on the replies
	kindIdle    kind = "idle"    // connections that do nothing after one call
	kindCodec   kind = "codec"   // no connections at all: formats alone
)

// notifies is how many one-way calls a caller makes before it waits for an echo.
const notifies = 63

// point is one row of the report: a load that every framework gets.
type point struct {
	ID      string `json:"id"` // what -points takes
	Kind    kind   `json:"kind"`
	Size    int    `json:"size,omitempty"`    // bytes of payload
	Records int    `json:"records,omitempty"` // structs per message
	Callers int    `json:"callers"`           // goroutines that call, over all connections
	Conns   int    `json:"conns"`
}

// title names the point in the report.
func (p point) title() string {
	switch {
	case p.Kind == kindOneway:
		return fmt.Sprintf("one-way, %s × %d", bytesText(p.Size), p.Callers)
	case p.Kind == kindRecords && p.Records == 1:
		return fmt.Sprintf("20-field struct × %d", p.Callers)
	case p.Kind == kindRecords:
		return fmt.Sprintf("list of %d structs × %d", p.Records, p.Callers)
	case p.Kind == kindOpen:
		return "open loop, " + bytesText(p.Size)
	case p.Kind == kindIdle:
		return "idle connections"
	case p.Kind == kindCodec:
		return "codecs alone"
	case p.Conns > 1:
		return fmt.Sprintf("%s, %d connections × %d", bytesText(p.Size), p.Conns, p.Callers/p.Conns)
	}
	return fmt.Sprintf("%s × %d", bytesText(p.Size), p.Callers)
}

// fits says whether the framework can take part.
func (p point) fits(e peer.Entry) bool { return p.Conns == 1 || !e.Shared }

func bytesText(n int) string {
	if n >= 1<<20 {
		return fmt.Sprintf("%d MiB", n>>20)
	}
	if n >= 1<<10 {
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d B", n)
}

// reference is the point whose closed-loop figure sets the rate of the open loop.
const reference = "128x64"

func allPoints() []point {
	var out []point
	for _, size := range []int{128, 1 << 10, 16 << 10} {
		for _, callers := range []int{1, 64, 512, 4096} {
			out = append(out, echoPoint(size, callers, 1))
		}
	}
	return append(out,
		echoPoint(128, 100, 100), echoPoint(128, 1000, 1000),
		point{ID: "oneway", Kind: kindOneway, Size: 128, Callers: 64, Conns: 1},
		point{ID: "struct", Kind: kindRecords, Records: 1, Callers: 64, Conns: 1},
		point{ID: "list", Kind: kindRecords, Records: 100, Callers: 16, Conns: 1},
		point{ID: "open", Kind: kindOpen, Size: 128, Callers: 1024, Conns: 1},
		point{ID: "idle", Kind: kindIdle, Size: 128, Callers: 1, Conns: 1},
		point{ID: "codec", Kind: kindCodec, Conns: 1},
	)
}

func quickPoints() []point {
	return []point{echoPoint(128, 64, 1), echoPoint(128, 512, 1), echoPoint(1<<10, 64, 1)}
}

func echoPoint(size, callers, conns int) point {
	id := fmt.Sprintf("%dx%d", size, callers)
	if conns > 1 {
		id = fmt.Sprintf("%dconns", conns)
	}
	return point{ID: id, Kind: kindEcho, Size: size, Callers: callers, Conns: conns}
}

// selectPoints returns the points with these comma-separated ids, in the report's order; "" selects all or the quick ones.
func selectPoints(ids string, quick bool) ([]point, error) {
	if ids == "" && quick {
		return quickPoints(), nil
	}
	all := allPoints()
	if ids == "" {
		return all, nil
	}
	wanted := map[string]bool{}
	for id := range strings.SplitSeq(ids, ",") {
		wanted[strings.TrimSpace(id)] = true
	}
	var out []point
	var known []string
	for _, p := range append(all, growthPoints()...) {
		known = append(known, p.ID)
		if wanted[p.ID] {
			out = append(out, p)
			delete(wanted, p.ID)
		}
	}
	for id := range wanted {
		return nil, fmt.Errorf("peers: no point named %q (have %s)", id, strings.Join(known, ", "))
	}
	return out, nil
}
