package rule

import (
	"strconv"
	"strings"
)

// A Condition is one line of a condition route: calls for which When holds go to the providers for which Then holds.
//
//	rule  = [ when "=>" ] then            when: empty or true is every call; then: empty or false is no provider
//	when  = term { "&" term }
//	term  = key ( "=" | "!=" ) value { "," value } …
//	key   = host | address | application | method | any parameter | arguments[0] | attachments[name]
//	value = text, with one * for any text | $name, the consumer's parameter | a~b, a~, ~b, a range of whole numbers
//
// As in Dubbo, "consumer." and "provider." are dropped, terms of one key are joined, != is looked at before =, and a key
// that the other side does not have never matches.
type Condition struct {
	When, Then []Term
	// Nobody says that Then is empty: the calls have no provider.
	Nobody bool
}

// A Source is where the value of a term comes from.
type Source uint8

// The sources.
const (
	Parameter  Source = iota // of the URL; the method's name for the key method in When
	Argument                 // of the call, by Index
	Attachment               // of the call, by Key
)

// A Term compares one value.
type Term struct {
	Source         Source
	Key            string
	Index          int
	equal, unequal []pattern
}

type pattern struct {
	text     string
	param    string // $param
	ranged   bool
	from, to int64
}

// ParseCondition reads a line. Unlike Dubbo it refuses what is not of the grammar, where Dubbo guesses.
func ParseCondition(text string) (*Condition, error) {
	if len(text) > MaxSize {
		return nil, bad("a condition of %d bytes, at most %d are allowed", len(text), MaxSize)
	}
	if strings.TrimSpace(text) == "" {
		return nil, bad("an empty condition")
	}
	text = strings.NewReplacer("consumer.", "", "provider.", "").Replace(text)
	when, then, both := strings.Cut(text, "=>")
	if !both {
		when, then = "", text
	}
	c := &Condition{}
	var err error
	if when = strings.TrimSpace(when); when != "" && when != "true" {
		if c.When, err = parseTerms(when); err != nil {
			return nil, err
		}
	}
	if then = strings.TrimSpace(then); then == "" || then == "false" {
		c.Nobody = true
		return c, nil
	}
	if c.Then, err = parseTerms(then); err != nil {
		return nil, err
	}
	for _, t := range c.Then {
		if t.Source != Parameter {
			return nil, bad("%s stands behind =>, where providers are compared", t.name())
		}
	}
	return c, nil
}

// parseTerms reads one side of a rule.
func parseTerms(text string) ([]Term, error) {
	var terms []Term
	values := 0
	for part := range strings.SplitSeq(text, "&") {
		name, rest, err := word(part)
		if err != nil {
			return nil, err
		}
		t, err := termOf(&terms, name)
		if err != nil {
			return nil, err
		}
		for first := true; first || rest != ""; first = false {
			var into *[]pattern
			switch {
			case strings.HasPrefix(rest, "!="):
				into, rest = &t.unequal, rest[2:]
			case strings.HasPrefix(rest, "="):
				into, rest = &t.equal, rest[1:]
			default:
				return nil, bad("want = or != behind %q in %q", name, part)
			}
			for {
				var value string
				if value, rest, err = word(rest); err != nil {
					return nil, err
				}
				p, err := parsePattern(value)
				if err != nil {
					return nil, err
				}
				*into = append(*into, p)
				if values++; values > MaxTerms {
					return nil, bad("more than %d values", MaxTerms)
				}
				if !strings.HasPrefix(rest, ",") {
					break
				}
				rest = rest[1:]
			}
		}
	}
	return terms, nil
}

// word takes the next word from the front of a text, and the blanks around it.
func word(text string) (w, rest string, err error) {
	text = strings.TrimLeft(text, " \t\r\n")
	end := strings.IndexAny(text, "&!=, \t\r\n")
	if end < 0 {
		end = len(text)
	}
	if end == 0 {
		return "", "", bad("want a name or value before %q", text)
	}
	return text[:end], strings.TrimLeft(text[end:], " \t\r\n"), nil
}

// termOf returns the term of a key, a new one where there is none yet.
func termOf(terms *[]Term, name string) (*Term, error) {
	t := Term{Key: name}
	if kind, inside, ok := strings.Cut(name, "["); ok {
		inside, closed := strings.CutSuffix(inside, "]")
		switch n, err := strconv.Atoi(inside); {
		case !closed || inside == "":
			return nil, bad("%q: want arguments[0] or attachments[name]", name)
		case kind == "attachments":
			t.Source, t.Key = Attachment, inside
		case kind == "arguments" && err == nil && n >= 0 && n < 256:
			t.Source, t.Index = Argument, n
		default:
			return nil, bad("%q: want arguments[0] or attachments[name]", name)
		}
	}
	if t.Source == Parameter && t.Key == "methods" {
		t.Key = "method"
	}
	for i := range *terms {
		if o := &(*terms)[i]; o.Source == t.Source && o.Key == t.Key && o.Index == t.Index {
			return o, nil
		}
	}
	*terms = append(*terms, t)
	return &(*terms)[len(*terms)-1], nil
}

func parsePattern(text string) (pattern, error) {
	if name, ok := strings.CutPrefix(text, "$"); ok {
		if name == "" {
			return pattern{}, bad("$ without a name")
		}
		return pattern{param: name}, nil
	}
	low, high, ok := strings.Cut(text, "~")
	if !ok {
		return pattern{text: text}, nil
	}
	p := pattern{text: text, ranged: true, from: -1 << 63, to: 1<<63 - 1}
	var err error
	if low != "" {
		p.from, err = strconv.ParseInt(low, 10, 64)
	}
	if high != "" && err == nil {
		p.to, err = strconv.ParseInt(high, 10, 64)
	}
	if err != nil || low == "" && high == "" || p.from > p.to {
		return pattern{}, bad("%q is no range: want 1~10, 1~ or ~10", text)
	}
	return p, nil
}

func (t *Term) name() string {
	switch t.Source {
	case Argument:
		return "arguments[" + strconv.Itoa(t.Index) + "]"
	case Attachment:
		return "attachments[" + t.Key + "]"
	}
	return t.Key
}

// Match compares a value; consumer returns the consumer's parameters, for $name.
func (t *Term) Match(value string, consumer func(string) string) bool {
	for i := range t.unequal {
		if t.unequal[i].match(value, consumer) {
			return false
		}
	}
	if len(t.equal) == 0 {
		return true
	}
	for i := range t.equal {
		if t.equal[i].match(value, consumer) {
			return true
		}
	}
	return false
}

func (p *pattern) match(value string, consumer func(string) string) bool {
	switch {
	case p.param != "":
		return glob(consumer(p.param), value)
	case p.ranged:
		n, err := strconv.ParseInt(value, 10, 64)
		return err == nil && p.from <= n && n <= p.to
	}
	return glob(p.text, value)
}
