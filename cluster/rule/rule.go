// Package rule reads Dubbo's governance rules: overrides of parameters (configurators), condition routes and tag routes,
// as URLs of the registry or as YAML texts beside it. Rules are data. Whoever can write to the registry writes them, so
//
//   - a text is at most MaxSize bytes, its YAML at most MaxNodes nodes and MaxDepth levels, without anchors and aliases;
//   - a rule is read as a whole or refused as a whole, with an error that says where; whoever asked keeps the rule he had;
//   - nothing is ever executed: regular expressions are Go's, whose time grows with the length of the text alone;
//   - parameters that keep a call safe cannot be set (see Protected): they are left out, and Refused names them.
//
// The Parse functions return nil without an error for what says nothing: an empty text, or a rule that is switched off.
// What they return never changes, and matches from any number of goroutines without allocating.
package rule

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// The limits of one text.
const (
	MaxSize  = 64 << 10 // bytes
	MaxNodes = 10_000   // of YAML
	MaxDepth = 16       // of YAML
	MaxTerms = 256      // of a condition, values included
	MaxRules = 1024     // conditions, tags or items of one text
)

// ErrRule is what every error of this package matches.
var ErrRule = errors.New("rule: bad rule")

func bad(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrRule, shorten(fmt.Sprintf(format, args...)))
}

// shorten makes what others wrote fit for one line of a log.
func shorten(s string) string {
	const most = 200
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}

// decode reads a YAML text into a struct; blank is true when there is nothing in it.
func decode(text []byte, into any) (blank bool, err error) {
	defer func() {
		if r := recover(); r != nil { // a text of others must not end the process, whatever the library makes of it
			blank, err = false, bad("the text cannot be read: %v", r)
		}
	}()
	if len(text) > MaxSize {
		return false, bad("%d bytes, at most %d are allowed", len(text), MaxSize)
	}
	d := yaml.NewDecoder(bytes.NewReader(quoteKey(text)))
	var doc yaml.Node
	switch err := d.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return true, nil
	case err != nil:
		return false, bad("%v", err)
	}
	nodes := 0
	if err := inspect(&doc, 0, &nodes); err != nil {
		return false, err
	}
	if len(doc.Content) == 0 || doc.Content[0].Tag == "!!null" {
		return true, nil
	}
	if doc.Content[0].Kind != yaml.MappingNode {
		return false, bad("line %d: want keys and values", doc.Content[0].Line)
	}
	if err := doc.Content[0].Decode(into); err != nil {
		return false, bad("%v", err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return false, bad("more than one document")
	}
	return false, nil
}

// quoteKey puts quotes around a key such as com.x.Demo::, which Dubbo's documentation writes without and which is no YAML
// then.
func quoteKey(text []byte) []byte {
	at := 0
	for line := range bytes.Lines(text) {
		value := bytes.TrimSpace(bytes.TrimPrefix(line, []byte("key: ")))
		if bytes.HasPrefix(line, []byte("key: ")) && bytes.HasSuffix(value, []byte(":")) && !bytes.ContainsAny(value, "'\"\\#{}[]") {
			return slices.Concat(text[:at], []byte("key: '"), value, []byte("'\n"), text[at+len(line):])
		}
		at += len(line)
	}
	return text
}

// inspect holds the limits before anything is made from the tree.
func inspect(n *yaml.Node, depth int, nodes *int) error {
	if *nodes++; *nodes > MaxNodes {
		return bad("line %d: more than %d values", n.Line, MaxNodes)
	}
	if depth > MaxDepth {
		return bad("line %d: nested more than %d deep", n.Line, MaxDepth)
	}
	if n.Kind == yaml.AliasNode || n.Anchor != "" {
		return bad("line %d: anchors and aliases are not allowed", n.Line)
	}
	for _, child := range n.Content {
		if err := inspect(child, depth+1, nodes); err != nil {
			return err
		}
	}
	return nil
}

// A scalar is a value as it is written, whatever YAML takes it for.
type scalar string

// UnmarshalYAML implements yaml.Unmarshaler.
func (s *scalar) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.ScalarNode {
		return fmt.Errorf("line %d: want one value", n.Line)
	}
	if n.Tag != "!!null" {
		*s = scalar(n.Value)
	}
	return nil
}

// on is a flag that is true unless it is set to false.
type on struct{ off bool }

// UnmarshalYAML implements yaml.Unmarshaler.
func (o *on) UnmarshalYAML(n *yaml.Node) error {
	v := true
	err := n.Decode(&v)
	o.off = !v
	return err
}
