// Command ferry is the tool of the framework: one binary, one subcommand for each job.
//
//	ferry gen [flags] [folder | file.go | file.proto ...]	writes clients, service descriptions and codecs
//	ferry dev [-addr host:port]	serves an embedded ZooKeeper for development
//	ferry doctor [flags] service [parameter=value ...]	says which parameters calls have, and where each comes from
//
// A subcommand is a file of its own with one function that takes the arguments behind its name; commands lists them.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
)

// A command is one subcommand. run prints results to out and returns what went wrong.
type command struct {
	name, about string
	run         func(args []string, out io.Writer) error
}

// commands returns the subcommands in the order in which the usage text shows them.
func commands() []command {
	return []command{
		{"gen", "write clients, service descriptions and codecs for Go interfaces and .proto files", runGen},
		{"dev", "serve an embedded ZooKeeper for development", runDev},
		{"doctor", "say which parameters calls to a service have, and where each comes from", runDoctor},
	}
}

func main() {
	os.Exit(dispatch(os.Args[1:], os.Stdout, os.Stderr))
}

// dispatch runs the subcommand that args name and returns the exit code: 0, 1 for a failure, 2 for wrong usage.
func dispatch(args []string, out, errs io.Writer) int {
	if len(args) == 0 {
		usage(errs)
		return 2
	}
	for _, c := range commands() {
		if c.name != args[0] {
			continue
		}
		switch err := c.run(args[1:], out); {
		case err == nil || err == flag.ErrHelp:
			return 0
		default:
			fmt.Fprintln(errs, err)
			return 1
		}
	}
	if args[0] == "help" || args[0] == "-h" || args[0] == "--help" {
		usage(out)
		return 0
	}
	fmt.Fprintf(errs, "ferry: no command %q\n", args[0])
	usage(errs)
	return 2
}

func usage(out io.Writer) {
	fmt.Fprintln(out, "usage: ferry <command> [flags] [arguments]")
	for _, c := range commands() {
		fmt.Fprintf(out, "  %-8s %s\n", c.name, c.about)
	}
	fmt.Fprintln(out, "ferry <command> -h shows its flags.")
}
