package gen

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/ferryrpc/ferry/serialize/hessian2"
)

var update = flag.Bool("update", false, "write the golden files again")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// inPackage writes source as a package of this module and returns its folder.
func inPackage(t *testing.T, source string) string {
	t.Helper()
	dir, err := os.MkdirTemp("testdata", "tmp")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in.go"), []byte(source), 0o666))
	return dir
}

// TestGolden generates the packages of testdata and gentest again: the output is what is checked in.
func TestGolden(t *testing.T) {
	for _, dir := range []string{"gentest", "testdata/plain", "testdata/settings", "testdata/foreign"} {
		t.Run(filepath.Base(dir), func(t *testing.T) {
			files, err := Generate(Options{}, dir)
			require.NoError(t, err)
			if *update {
				_, err := Write(files)
				require.NoError(t, err)
			}
			require.NotEmpty(t, files)
			for _, f := range files {
				want, err := os.ReadFile(f.Path)
				require.NoError(t, err)
				require.Equal(t, string(want), string(f.Content), "%s differs: run the test with -update", f.Path)
				require.True(t, strings.HasPrefix(string(f.Content), Header+"\n"))
			}
		})
	}
}

// TestVet compiles the generated code and runs go vet over it.
func TestVet(t *testing.T) {
	out, err := exec.Command("go", "vet", "./gentest", "./testdata/plain", "./testdata/settings", "./testdata/foreign").CombinedOutput()
	require.NoError(t, err, "%s", out)
}

func TestImports(t *testing.T) {
	files, err := Generate(Options{}, "gentest")
	require.NoError(t, err)
	for _, f := range files {
		for _, line := range strings.Split(string(f.Content), "\n") {
			line = strings.TrimSpace(line)
			if strings.HasPrefix(line, `"github.com/`) {
				require.Contains(t, []string{module, protocolPkg, typesPkg, hessianPkg, msgpackPkg}, strings.Trim(line, `"`))
			}
		}
	}
}

func TestMock(t *testing.T) {
	dir := inPackage(t, greeter("Add(ctx context.Context, a, b int64) (int64, error)"))
	files, err := Generate(Options{Mock: true}, dir)
	require.NoError(t, err)
	written, err := Write(files)
	require.NoError(t, err)
	mock := filepath.Join(dir, "greeter_mock.go")
	require.Contains(t, written, mock)
	own := []byte("package in\n\n// GreeterMock is mine now.\ntype GreeterMock struct{}\n")
	require.NoError(t, os.WriteFile(mock, own, 0o666))
	files, err = Generate(Options{Mock: true}, dir)
	require.NoError(t, err)
	written, err = Write(files)
	require.NoError(t, err)
	require.Empty(t, written, "nothing changed, and a mock is never written again")
	kept, err := os.ReadFile(mock)
	require.NoError(t, err)
	require.Equal(t, own, kept)
}

func TestForeignFileIsNotOverwritten(t *testing.T) {
	dir := inPackage(t, greeter("Add(ctx context.Context, a, b int64) (int64, error)"))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in_ferry.go"), []byte("package in\n"), 0o666))
	files, err := Generate(Options{}, dir)
	require.NoError(t, err)
	_, err = Write(files)
	require.ErrorContains(t, err, "was not written by ferry gen")
}

// TestStaleOutput: code that no longer compiles with the source must not stop its own renewal.
func TestStaleOutput(t *testing.T) {
	dir := inPackage(t, greeter("Add(ctx context.Context, a, b int64) (int64, error)"))
	stale := Header + "\n\npackage in\n\nfunc (g Gone) Broken() { nowhere() }\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "in_ferry.go"), []byte(stale), 0o666))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "use.go"), []byte("package in\n\nvar client = NewGreeter(nil)\n"), 0o666))
	files, err := Generate(Options{}, dir)
	require.NoError(t, err)
	require.Contains(t, string(files[0].Content), "func NewGreeter(")
}

func TestLowerFirst(t *testing.T) {
	for in, want := range map[string]string{"SayHello": "sayHello", "ID": "id", "IDs": "ids", "URLPath": "urlPath", "UserID": "userID", "X": "x",
		"HTTP2Server": "http2Server", "Ünï": "ünï", "already": "already", "": ""} {
		require.Equal(t, want, lowerFirst(in))
		require.Equal(t, hessian2.FieldName(in), lowerFirst(in))
	}
}

func TestJavaDescriptor(t *testing.T) {
	for in, want := range map[string]string{"int": "I", "long[]": "[J", "java.lang.String": "Ljava/lang/String;", "String": "Ljava/lang/String;",
		"java.util.List<com.example.User>": "Ljava/util/List;", "com.example.Outer$Inner[][]": "[[Lcom/example/Outer$Inner;", "void": "V", "User": "LUser;"} {
		got, ok := javaDescriptor(in)
		require.True(t, ok, in)
		require.Equal(t, want, got)
	}
	for _, in := range []string{"", "[]", "1x", "a..b", "void[]", "int ]", "a b"} {
		_, ok := javaDescriptor(in)
		require.False(t, ok, in)
	}
}
