package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/ferryrpc/ferry"
	"github.com/ferryrpc/ferry/protocol"
)

// runDoctor is ferry doctor: it looks at a service as a consumer does and says what calls to it would have, and why.
func runDoctor(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("ferry doctor", flag.ContinueOnError)
	flags.SetOutput(out)
	registry := flags.String("registry", "zookeeper://127.0.0.1:2181", "`URL` of the registry, with its parameters")
	method := flags.String("method", "", "show what is in force for this `method`")
	all := flags.Bool("all", false, "show also what nobody has changed")
	wait := flags.Duration("wait", 3*time.Second, "how long to wait for a provider that can be called")
	flags.Usage = func() {
		fmt.Fprintln(out, "usage: ferry doctor [flags] service [parameter=value ...]")
		fmt.Fprintln(out, "The parameters are those that the consumer's own code sets, for instance timeout=500 group=a.")
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 {
		flags.Usage()
		return errors.New("ferry doctor: which service?")
	}
	options := []ferry.Option{ferry.Check(false), ferry.Param("register", "false")}
	for _, word := range flags.Args()[1:] {
		key, value, ok := strings.Cut(word, "=")
		if !ok {
			return fmt.Errorf("ferry doctor: %q is no parameter=value", word)
		}
		options = append(options, ferry.Param(key, value))
	}
	if err := diagnose(out, *registry, flags.Arg(0), *method, *all, *wait, options); err != nil {
		return fmt.Errorf("ferry doctor: %w", err)
	}
	return nil
}

// diagnose prints everything; its error says why no provider can be called.
func diagnose(out io.Writer, registry, service, method string, all bool, wait time.Duration, options []ferry.Option) (err error) {
	c := ferry.NewClient(registry)
	defer func() { err = errors.Join(err, c.Close()) }()
	ref, err := c.Refer(&protocol.Interface{Name: service}, options...)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	cause := ref.Directory().Ready(ctx)
	d := ref.Directory()
	fmt.Fprintf(out, "%s: %s\n", service, d.Snapshot())
	for _, r := range ref.Rules() {
		switch {
		case r.Err != nil:
			fmt.Fprintf(out, "rule %s: not in force: %v\n", r.Place, r.Err)
		case r.InForce:
			fmt.Fprintf(out, "rule %s: in force\n", r.Place)
		}
		if len(r.Refused) > 0 {
			fmt.Fprintf(out, "rule %s: may not set %s\n", r.Place, strings.Join(r.Refused, ", "))
		}
	}
	for _, e := range ref.Explain(method) {
		printProvider(out, e, all)
	}
	return cause
}

// unshown are a secret, what the framework sets, and what this program sets for itself.
var unshown = []string{"token", "interface", "side", "timestamp", "check", "register"}

func printProvider(out io.Writer, e ferry.Explained, all bool) {
	state := "not connected"
	switch {
	case e.SetAside:
		state = "set aside after failures"
	case e.Available:
		state = "connected"
	}
	fmt.Fprintf(out, "\n%s://%s, %s\n", e.URL.Scheme(), e.Address, state)
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	defer w.Flush()
	for _, s := range e.Settings {
		if s.From == "default" && !all || slices.Contains(unshown, s.Name) {
			continue
		}
		var over []string
		for _, o := range s.Over {
			over = append(over, fmt.Sprintf("%s by %s", o.Value, o.From))
		}
		text := ""
		if len(over) > 0 {
			text = "(over " + strings.Join(over, ", ") + ")"
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\t%s\n", s.Name, s.Value, s.From, text)
	}
}
