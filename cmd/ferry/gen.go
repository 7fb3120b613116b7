package main

import (
	"flag"
	"fmt"
	"io"
	"strings"

	"github.com/ferryrpc/ferry/internal/gen"
)

// runGen is ferry gen: it writes what belongs to the sources that it is given.
func runGen(args []string, out io.Writer) error {
	var o gen.Options
	var imports string
	flags := flag.NewFlagSet("ferry gen", flag.ContinueOnError)
	flags.SetOutput(out)
	flags.Usage = func() {
		fmt.Fprintln(out, "usage: ferry gen [flags] [folder | folder/... | file.go | file.proto ...]")
		flags.PrintDefaults()
	}
	flags.BoolVar(&o.Async, "async", false, "also write <Service>Async, a client whose methods do not wait and return a *ferry.Future")
	flags.BoolVar(&o.Mock, "mock", false, "also write <service>_mock.go, a skeleton implementation, where there is none")
	flags.StringVar(&imports, "I", "", "comma-separated `folders` in which imported .proto files are looked for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if imports != "" {
		o.Imports = strings.Split(imports, ",")
	}
	files, err := gen.Generate(o, flags.Args()...)
	if err != nil {
		return err
	}
	written, err := gen.Write(files)
	for _, path := range written {
		fmt.Fprintln(out, path)
	}
	return err
}
