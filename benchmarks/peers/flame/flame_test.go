package main

import (
	"bytes"
	"encoding/xml"
	"io"
	"os"
	"path/filepath"
	"runtime/pprof"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTreeAndBlocks(t *testing.T) {
	list := []stack{
		{[]string{"main.main", "github.com/ferryrpc/ferry/transport.(*Line).write", "syscall.Write"}, 30},
		{[]string{"main.main", "github.com/ferryrpc/ferry/transport.(*Line).Send"}, 50},
		{[]string{"main.main"}, 15},
		{[]string{"unheard.Of<T>"}, 5},
	}
	root := grow(list)
	require.EqualValues(t, 100, root.value)
	require.EqualValues(t, 95, root.children["main.main"].value)
	require.Equal(t, "| block | % of CPU |\n|---|---|\n| the send queue (transport.Line) | 50.0 |\n| system calls: write | 30.0 |\n"+
		"| the benchmark itself | 15.0 |\n| everything else | 5.0 |\n", blockTable(list))

	svg := draw(root, "a & b")
	boxes, d := 0, xml.NewDecoder(strings.NewReader(svg))
	for {
		token, err := d.Token()
		if err == io.EOF {
			break
		}
		require.NoError(t, err)
		if e, ok := token.(xml.StartElement); ok && e.Name.Local == "rect" {
			boxes++
		}
	}
	require.Equal(t, 1+6, boxes, "the ground, the whole, and each function under its callers")
	require.Contains(t, svg, "a &amp; b")
	require.Contains(t, svg, "unheard.Of&lt;T&gt; 5.0 %")
	require.NotContains(t, draw(grow(append(list, stack{[]string{"speck"}, 1e6})), ""), "unheard", "less than a thousandth is left out")
}

func TestRealProfile(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, pprof.StartCPUProfile(&b))
	for end := time.Now().Add(100 * time.Millisecond); time.Now().Before(end); {
	}
	pprof.StopCPUProfile()
	dir := t.TempDir()
	file, out := filepath.Join(dir, "p"), filepath.Join(dir, "p.svg")
	require.NoError(t, os.WriteFile(file, b.Bytes(), 0o600))
	require.NoError(t, run(file, "test", out))
	svg, err := os.ReadFile(out)
	require.NoError(t, err)
	require.Contains(t, string(svg), "</svg>")
	require.ErrorContains(t, run(out, "", ""), "flame: "+out)
}
