package lock

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// The tests that the manual names are there.
func TestManualNamesTests(t *testing.T) {
	var source []byte
	for _, dir := range []string{".", filepath.Join("..", "leader"), filepath.Join("..", "..", "internal", "zk")} {
		files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
		require.NoError(t, err)
		for _, file := range files {
			b, err := os.ReadFile(file)
			require.NoError(t, err)
			source = append(source, b...)
		}
	}
	manual, err := os.ReadFile(filepath.Join("..", "..", "docs", "curator-cases.md"))
	require.NoError(t, err)
	names := regexp.MustCompile("`(Test[A-Z]\\w+)`").FindAllSubmatch(manual, -1)
	require.Greater(t, len(names), 60)
	for _, name := range names {
		require.Contains(t, string(source), "func "+string(name[1])+"(t *testing.T)")
	}
}
