package gen

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestAsyncOfProto: the asynchronous client of a .proto file compiles beside what protoc would have written.
func TestAsyncOfProto(t *testing.T) {
	dir, err := os.MkdirTemp("gentest/prototest", "async")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	entries, err := os.ReadDir("gentest/prototest")
	require.NoError(t, err)
	for _, e := range entries {
		if e.IsDir() || filepath.Ext(e.Name()) == ".go" && len(e.Name()) > 8 && e.Name()[len(e.Name())-8:] == "_test.go" {
			continue
		}
		content, err := os.ReadFile(filepath.Join("gentest/prototest", e.Name()))
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(filepath.Join(dir, e.Name()), content, 0o666))
	}
	files, err := Generate(Options{Async: true}, filepath.Join(dir, "chat.proto"))
	require.NoError(t, err)
	_, err = Write(files)
	require.NoError(t, err)
	out, err := exec.Command("go", "vet", "./"+dir).CombinedOutput()
	require.NoError(t, err, "%s", out)
}
