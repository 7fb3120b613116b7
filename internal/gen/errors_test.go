package gen

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// greeter returns a source file with one service of those method lines; the first method is line 8.
func greeter(methods ...string) string {
	return "package in\n\nimport \"context\"\n\nvar _ context.Context\n//ferry:service com.example.Greeter\ntype Greeter interface {\n\t" + strings.Join(methods, "\n\t") + "\n}\n"
}

// TestErrors: bad input gets one line with the place and what to do.
func TestErrors(t *testing.T) {
	ok := "Fine(ctx context.Context) error"
	cases := []struct{ name, source, want string }{
		{"no context", greeter("Hello(name string) error"), `in.go:8:13: Hello: the first parameter must be ctx context.Context`},
		{"no parameters", greeter("Hello() error"), `in.go:8:2: Hello: the first parameter must be ctx context.Context`},
		{"context not first", greeter("Hello(name string, ctx context.Context) error"), `in.go:8:13: Hello: the first parameter must be ctx context.Context`},
		{"no error", greeter("Hello(ctx context.Context) string"), `in.go:8:29: Hello: the results must be error, or a reply and error`},
		{"no results", greeter("Hello(ctx context.Context)"), `in.go:8:2: Hello: the results must be error, or a reply and error`},
		{"three results", greeter("Hello(ctx context.Context) (a, b int, err error)"), `in.go:8:44: Hello: the results must be error, or a reply and error`},
		{"variadic", greeter("Hello(ctx context.Context, names ...string) error"), `in.go:8:35: Hello: the last parameter is variadic, which Java calls differently: take a slice`},
		{"channel", greeter("Hello(ctx context.Context, c chan int) error"), `in.go:8:31: Hello: parameter c is a channel, which cannot travel: return a slice, or make it a method of its own`},
		{"function", greeter("Hello(ctx context.Context, f []func()) error"), `in.go:8:31: Hello: parameter f is a function, which cannot travel`},
		{"map key", greeter("Hello(ctx context.Context, m map[any]int) error"), `in.go:8:31: Hello: parameter m has any as map key: use a string, a boolean or a number`},
		{"complex", greeter("Hello(ctx context.Context) (complex128, error)"), `in.go:8:30: Hello: the reply is complex128, which cannot travel`},
		{"struct without exported fields", "package in\n\nimport (\n\t\"context\"\n\t\"math/big\"\n)\n\n//ferry:service a.G\ntype G interface{ A(ctx context.Context, r *big.Rat) error }\n", `in.go:9:44: A: parameter r is a math/big.Rat, which has no exported fields: nothing of it would travel`},
		{"tag option", greeter("Hello(ctx context.Context, o *Order) error") + "type Order struct {\n\tA int `java:\"a,integer\"`\n}\n", "in.go:11:2: field A of Order has the unknown tag option integer: there are array, date, localdate,"},
		{"tag option of another type", greeter("Hello(ctx context.Context, o *Order) error") + "type Order struct {\n\tA int `java:\",decimal\"`\n}\n", "in.go:11:2: field A of Order cannot be a decimal in Java: use a string, a *big.Rat, or a type with MarshalText and UnmarshalText"},
		{"msgpack option", greeter("Hello(ctx context.Context, o *Order) error") + "type Order struct {\n\tA int `msgpack:\",as_array\"`\n}\n", "in.go:11:2: field A of Order has the msgpack tag option as_array, which generated code does not know"},
		{"interface", greeter("Hello(ctx context.Context, e error) error"), `in.go:8:31: Hello: parameter e is an interface with methods: use a struct, or any`},
		{"anonymous struct", greeter("Hello(ctx context.Context, s struct{ A int }) error"), `in.go:8:31: Hello: parameter s is a struct without a name: declare a type for it`},
		{"pointer to slice", greeter("Hello(ctx context.Context, s *[]int) error"), `in.go:8:31: Hello: parameter s is a pointer to a pointer, slice, map or interface: leave the outer pointer out`},
		{"unknown type", greeter("Hello(ctx context.Context, s Missing) error"), `in.go:8:31: Hello: parameter s has a type that is not known: check its name and the imports`},
		{"unexported struct", greeter("Hello(ctx context.Context, o *order) error") + "type order struct{ N int }\n", `in.go:8:31: Hello: parameter o is of the unexported type order, which no caller could make: begin its name with an upper-case letter`},
		{"generic struct", greeter("Hello(ctx context.Context, p Page[int]) error") + "type Page[T any] struct{ Items []T }\n", `in.go:8:31: Hello: parameter p is a generic struct: declare a struct of its own for it`},
		{"unexported method", greeter("hello(ctx context.Context) error"), `in.go:8:2: hello is not exported: methods of a service begin with an upper-case letter`},
		{"field", greeter("Hello(ctx context.Context, o *Order) error") + "type Order struct {\n\tDone chan bool\n}\n", "in.go:11:2: field Done of Order is a channel, which cannot travel: return a slice, or make it a method of its own, or leave it out with the tag `java:\"-\"`"},
		{"field twice", greeter("Hello(ctx context.Context, o *Order) error") + "type Order struct {\n\tA int `java:\"x\"`\n\tX int\n}\n", "in.go:12:2: Order.A and Order.X are both \"x\" on the wire: rename one with the tag `java:\"name\"`"},
		{"oneway with reply", greeter("//ferry:oneway", "Hello(ctx context.Context) (int, error)"), `in.go:9:30: Hello is //ferry:oneway, so no reply comes back: let it return error alone`},
		{"same wire signature", greeter("//ferry:method hello(long)", "Hello(ctx context.Context, n int64) error", "//ferry:method hello", "HelloAgain(ctx context.Context, n int64) error"),
			`in.go:11:2: Hello and HelloAgain are both hello(J) on the wire: give one another name or other types with //ferry:method`},
		{"number of Java types", greeter("//ferry:method hello(int,int)", "Hello(ctx context.Context, n int64) error"), `in.go:8:2: Hello has 1 parameters behind ctx, the directive names 2`},
		{"bad Java type", greeter("//ferry:method hello(int[)", "Hello(ctx context.Context, n int64) error"), `in.go:8:2: "int[" is no Java type: write int, java.lang.String, com.example.User or java.lang.String[]`},
		{"bad method name", greeter("//ferry:method (int)", "Hello(ctx context.Context, n int64) error"), `in.go:8:2: write a method name, for instance //ferry:method sayHello(int,java.lang.String)`},
		{"Java type that cannot be", greeter("//ferry:method hello(int)", "Hello(ctx context.Context, s string) error"), `in.go:9:31: Hello: parameter s is string, which cannot travel as int`},
		{"reply in directive", greeter("//ferry:method hello() int", "Hello(ctx context.Context) error"), `in.go:8:2: Hello: the directive and the Go method differ in whether there is a reply`},
		{"service without name", "package in\n\n//ferry:service\ntype G interface{}\n", `in.go:3:1: //ferry:service needs the service's name, for instance //ferry:service com.example.G`},
		{"service on a struct", "package in\n\n//ferry:service com.example.G\ntype G struct{}\n", `in.go:4:6: G is no interface: //ferry:service marks interfaces`},
		{"unexported service", "package in\n\nimport \"context\"\n\n//ferry:service com.example.G\ntype g interface{ Ping(ctx context.Context) error }\n", `in.go:6:6: g is not exported, so nobody could call it: begin its name with an upper-case letter`},
		{"empty service", "package in\n\n//ferry:service com.example.G\ntype G interface{}\n", `in.go:4:6: G has no methods`},
		{"service name twice", greeter(ok) + "//ferry:service com.example.Greeter\ntype Other interface{ Fine(ctx context.Context) error }\n", `in.go:11:6: com.example.Greeter is the name of Greeter already: give each service its own`},
		{"bad setting", strings.Replace(greeter(ok), "Greeter\n", "Greeter fast\n", 1), `in.go:6:1: "fast" is no setting: write key=value, for instance version=1.0.0`},
		{"unknown directive", strings.Replace(greeter(ok), "//ferry:service", "//ferry:servise", 1), `in.go:6:1: no directive //ferry:servise for a type: there are //ferry:service, //ferry:class, //ferry:error`},
		{"directive on a function", greeter(ok) + "//ferry:class com.example.F\nfunc f() {}\n", `in.go:10:1: //ferry:class marks nothing here: put it directly above a type, or above a method of a service`},
		{"class without name", greeter(ok) + "//ferry:class\ntype User struct{}\n", `in.go:10:1: //ferry:class needs a Java class, for instance //ferry:class com.example.User`},
		{"class twice", greeter(ok) + "//ferry:class a.B\ntype B struct{}\n\n//ferry:class a.B\ntype C struct{}\n", `in.go:13:1: a.B is the class of B already`},
		{"error without method", greeter(ok) + "//ferry:error com.example.NotFound\ntype NotFound struct{}\n", `in.go:11:6: NotFound has no method Error() string: //ferry:error marks errors`},
		{"syntax", "package in\n\nfunc {\n", `in.go:3:6: `},
		{"two packages", greeter("A(ctx context.Context, p *P) error") + "//ferry:service org.other.S\ntype S interface{ B(ctx context.Context, p *P) error }\n\ntype P struct{}\n",
			`in.go:13:6: P would be both com.example.P and org.other.P, as services of two Java packages use it: put //ferry:class above it`},
		{"embedded", greeter("Missing"), `in.go:8:2: undefined: Missing`},
	}
	dir, err := os.MkdirTemp("testdata", "tmp") // all cases in one go: loading is what takes the time
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	for i, c := range cases {
		sub := filepath.Join(dir, fmt.Sprintf("c%02d", i))
		require.NoError(t, os.Mkdir(sub, 0o777))
		require.NoError(t, os.WriteFile(filepath.Join(sub, "in.go"), []byte(c.source), 0o666))
	}
	files, err := Generate(Options{}, dir+"/...")
	require.Error(t, err)
	require.Empty(t, files, "nothing is written when anything is wrong")
	lines := strings.Split(err.Error(), "\n")
	for i, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var own []string
			for _, line := range lines {
				if rest, ok := strings.CutPrefix(line, fmt.Sprintf("%s/c%02d/", dir, i)); ok {
					own = append(own, rest)
				}
			}
			require.Len(t, own, 1, "one line for one mistake")
			require.Contains(t, own[0], c.want)
		})
	}
}

func TestNameTaken(t *testing.T) {
	_, err := Generate(Options{}, inPackage(t, greeter("Fine(ctx context.Context) error")+"type greeterClient int\n"))
	require.ErrorContains(t, err, "in.go:10:6: greeterClient is declared here, but in_ferry.go needs that name: rename it")
}

func TestNothingMarked(t *testing.T) {
	_, err := Generate(Options{}, inPackage(t, "package in\n"))
	require.ErrorContains(t, err, "nothing to generate: put //ferry:service com.example.Greeter above an interface")
	_, err = Generate(Options{}, "testdata/missing")
	require.ErrorContains(t, err, "no such file or directory")
}
