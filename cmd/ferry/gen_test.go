package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// run calls the program as a shell would.
func run(args ...string) (code int, out, errs string) {
	var o, e bytes.Buffer
	code = dispatch(args, &o, &e)
	return code, o.String(), e.String()
}

func TestUsage(t *testing.T) {
	code, _, errs := run()
	require.Equal(t, 2, code)
	require.Contains(t, errs, "usage: ferry <command>")
	code, _, errs = run("gne")
	require.Equal(t, 2, code)
	require.Contains(t, errs, `no command "gne"`)
	code, out, _ := run("help")
	require.Zero(t, code)
	require.Contains(t, out, "gen ")
	code, out, _ = run("gen", "-h")
	require.Zero(t, code)
	require.Contains(t, out, "-mock")
}

func TestGen(t *testing.T) {
	dir, err := os.MkdirTemp(".", "tmp")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	source := filepath.Join(dir, "greeter.go")
	write := func(result string) {
		text := "package in\n\nimport \"context\"\n\n//ferry:service com.example.Greeter\ntype Greeter interface {\n\tHello(ctx context.Context) " + result + "\n}\n"
		require.NoError(t, os.WriteFile(source, []byte(text), 0o666))
	}
	write("string")
	code, _, errs := run("gen", dir)
	require.Equal(t, 1, code)
	require.Equal(t, source+":7:29: Hello: the results must be error, or a reply and error\n", errs)
	write("(string, error)")
	code, out, errs := run("gen", "-mock", source)
	require.Zero(t, code, errs)
	require.Equal(t, filepath.Join(dir, "greeter_ferry.go")+"\n"+filepath.Join(dir, "greeter_mock.go")+"\n", out)
	code, out, _ = run("gen", "-mock", dir)
	require.Zero(t, code)
	require.Empty(t, out, "nothing changed, nothing written")
}
