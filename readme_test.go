package ferry_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/ferryrpc/ferry"
)

var update = flag.Bool("update", false, "write the parts of README.md that are made from the code")

// TestReadmeIsCurrent compares the parts of README.md that are made from the code with the code.
func TestReadmeIsCurrent(t *testing.T) {
	b, err := os.ReadFile("README.md")
	require.NoError(t, err)
	readme := string(b)
	want := replacePart(t, readme, "parameters", parameterTable())
	want = replacePart(t, want, "example", exampleText(t))
	if *update {
		require.NoError(t, os.WriteFile("README.md", []byte(want), 0o644))
		return
	}
	require.True(t, want == readme, "README.md is not what the code makes: run go test -run TestReadmeIsCurrent -update .")
}

// replacePart puts text between the comments that mark a part.
func replacePart(t *testing.T, readme, name, text string) string {
	begin, end := "<!-- "+name+": made by TestReadmeIsCurrent -->\n", "<!-- end of "+name+" -->\n"
	head, rest, ok := strings.Cut(readme, begin)
	require.True(t, ok, "README.md has no part %s", name)
	_, tail, ok := strings.Cut(rest, end)
	require.True(t, ok, "part %s has no end", name)
	return head + begin + text + end + tail
}

// parameterTable is the table of URL parameters, from the tags of the structs that read them.
func parameterTable() string {
	var b strings.Builder
	b.WriteString("| parameter | default | what it does | read by |\n|---|---|---|---|\n")
	for _, p := range ferry.Builtin().Parameters() {
		if p.Doc == "" {
			continue
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s |\n", p.Name, p.Default, strings.ReplaceAll(p.Doc, "|", "\\|"), strings.Join(p.Readers, ", "))
	}
	return b.String()
}

// exampleFiles are the hand-written lines of the first example.
func exampleFiles(t *testing.T) []string {
	files := []string{"examples/greeter/greeter.go", "examples/greeter/provider/main.go", "examples/greeter/consumer/main.go"}
	for i := range files {
		files[i] = filepath.FromSlash(files[i])
		_, err := os.Stat(files[i])
		require.NoError(t, err)
	}
	return files
}

func exampleText(t *testing.T) string {
	var b strings.Builder
	for _, name := range exampleFiles(t) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		fmt.Fprintf(&b, "`%s`\n\n```go\n%s```\n\n", filepath.ToSlash(name), text)
	}
	return b.String()
}

// TestExampleIsShort counts the lines that a user writes by hand.
func TestExampleIsShort(t *testing.T) {
	lines := 0
	for _, name := range exampleFiles(t) {
		text, err := os.ReadFile(name)
		require.NoError(t, err)
		for line := range strings.Lines(string(text)) {
			if strings.TrimSpace(line) != "" {
				lines++
			}
		}
	}
	require.LessOrEqual(t, lines, 30)
	out, err := exec.Command("gofmt", append([]string{"-l"}, exampleFiles(t)...)...).CombinedOutput()
	require.NoError(t, err, "%s", out)
	require.Empty(t, string(out), "gofmt would change them")
}
