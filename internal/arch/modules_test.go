package arch

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestModulesAreJustified: each module that go.mod requires directly has a line in DESIGN.md, there are no more than the
// ceiling, and none is replaced.
func TestModulesAreJustified(t *testing.T) {
	const ceiling = 14
	root := filepath.Join("..", "..")
	mod, err := os.ReadFile(filepath.Join(root, "go.mod"))
	require.NoError(t, err)
	design, err := os.ReadFile(filepath.Join(root, "DESIGN.md"))
	require.NoError(t, err)
	require.NotContains(t, string(mod), "replace ")
	require.Contains(t, string(mod), "\ngo 1.26")
	var direct []string
	for _, m := range regexp.MustCompile(`(?m)^(?:require )?\s*([\w.-]+\.[\w./-]+) (v\S+)(.*)$`).FindAllStringSubmatch(string(mod), -1) {
		if strings.Contains(m[3], "// indirect") {
			continue
		}
		direct = append(direct, m[1])
		require.Contains(t, string(design), "| "+m[1]+" |", "DESIGN.md has no line that says why")
	}
	require.Greater(t, len(direct), 5)
	require.LessOrEqual(t, len(direct), ceiling)
}
