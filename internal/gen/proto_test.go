package gen

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// protoFile writes a .proto file into a folder of this module and returns its path.
func protoFile(t *testing.T, source string) string {
	t.Helper()
	dir, err := os.MkdirTemp("testdata", "tmp")
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	path := filepath.Join(dir, "in.proto")
	require.NoError(t, os.WriteFile(path, []byte(source), 0o666))
	return path
}

const protoHead = "syntax = \"proto3\";\npackage a.b;\noption go_package = \"example.com/in\";\n"

func TestProtoErrors(t *testing.T) {
	for name, c := range map[string]struct{ source, want string }{
		"syntax":       {protoHead + "message M {\n  string name = ;\n}\n", "in.proto:5:17: syntax error"},
		"unknown type": {protoHead + "message M {\n  Missing name = 1;\n}\n", "in.proto:5:3: field a.b.M.name: unknown type Missing"},
		"import":       {protoHead + "import \"missing.proto\";\n", "missing.proto"},
		"no package":   {"syntax = \"proto3\";\n", "in.proto:1:1: which Go package is it? Write option go_package = \"example.com/module/folder\";"},
		"same name": {protoHead + "message M {}\nservice S {\n  rpc Get(M) returns (M);\n  rpc get(M) returns (M);\n}\n",
			"in.proto:7:3: Get and Get are both get on the wire: rename one"},
	} {
		t.Run(name, func(t *testing.T) {
			path := protoFile(t, c.source)
			_, err := Generate(Options{}, path)
			require.ErrorContains(t, err, c.want)
			require.ErrorContains(t, err, "in.proto")
			require.NotContains(t, err.Error(), "\n", "one line for one mistake")
		})
	}
	_, err := Generate(Options{}, "testdata/missing.proto")
	require.ErrorContains(t, err, "missing.proto")
}

// TestProto: imported files, other Java packages, a service that streams.
func TestProto(t *testing.T) {
	path := protoFile(t, protoHead+"option java_outer_classname = \"Out\";\nimport \"google/protobuf/empty.proto\";\nimport \"shared/other.proto\";\n"+
		"message M {\n  message Inner { other.Other o = 1; }\n}\n"+
		"service S {\n  // Get gets.\n  rpc Get(M.Inner) returns (google.protobuf.Empty);\n  rpc Put(other.Other) returns (M);\n}\n"+
		"service T {\n  rpc Watch(stream M) returns (M);\n}\n")
	shared := filepath.Join(t.TempDir(), "shared")
	require.NoError(t, os.Mkdir(shared, 0o777))
	require.NoError(t, os.WriteFile(filepath.Join(shared, "other.proto"), []byte("syntax = \"proto3\";\npackage other;\noption go_package = \"example.com/some-where\";\nmessage Other {}\n"), 0o666))
	files, err := Generate(Options{Imports: []string{filepath.Dir(shared)}}, path)
	require.NoError(t, err)
	require.Len(t, files, 2)
	require.Contains(t, string(files[0].Content), "type M_Inner struct")
	out := string(files[1].Content)
	for _, want := range []string{
		`some_where "example.com/some-where"`, "\t// Get gets.\n\tGet(ctx context.Context, in *M_Inner) (*emptypb.Empty, error)\n\tPut(ctx context.Context, in *some_where.Other) (*M, error)\n",
		`Service: "a.b.S", Name: "get", Descriptor: "La/b/Out$M$Inner;", Return: "Lcom/google/protobuf/Empty;", Index: 0`,
		`Descriptor: "Lother/OtherOuterClass$Other;"`, "func (m *M_Inner) AppendProto(b []byte)",
	} {
		require.Contains(t, out, want)
	}
	require.Contains(t, out, "type T interface {\n\tWatch(ctx context.Context, in iter.Seq2[*M, error]) (*M, error)\n}")
}
