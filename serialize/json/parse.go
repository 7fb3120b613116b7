package json

import (
	"bytes"
	"encoding/json"
	"reflect"
	"strconv"
	"strings"

	"github.com/ferryrpc/ferry/serialize"
)

// A parser walks over one line that is known to be valid JSON within the limits of depth and elements. encoding/json
// loses the order of members and cannot say which type an object is to become, hence this.
type parser struct {
	r   *reader
	src []byte
	off int
}

func (r *reader) parser(line []byte) *parser { return &parser{r: r, src: line} }

// peek returns the first character of what comes next, past white space.
func (p *parser) peek() byte {
	for p.off < len(p.src) {
		switch c := p.src[p.off]; c {
		case ' ', '\t', '\r', '\n':
			p.off++
		default:
			return c
		}
	}
	return 0
}

// token returns the raw bytes of the string, number or word that comes next.
func (p *parser) token() []byte {
	if p.peek() == '"' {
		start := p.off
		for p.off++; p.src[p.off] != '"'; p.off++ {
			if p.src[p.off] == '\\' {
				p.off++
			}
		}
		p.off++
		return p.src[start:p.off]
	}
	start := p.off
	for p.off < len(p.src) && strings.IndexByte(",]} \t\r\n", p.src[p.off]) < 0 {
		p.off++
	}
	return p.src[start:p.off]
}

func (p *parser) string() string {
	raw := p.token()
	if inner := raw[1 : len(raw)-1]; bytes.IndexFunc(inner, func(c rune) bool { return c == '\\' || c == 0xfffd }) < 0 {
		return string(inner)
	}
	var s string
	if err := json.Unmarshal(raw, &s); err != nil {
		_ = p.r.fail("a string", serialize.ErrMalformed)
	}
	return s
}

// members calls each for every member of an object, which must read or skip its value.
func (p *parser) members(each func(name string)) {
	p.off++
	for p.peek() != '}' {
		name := p.string()
		p.peek()
		p.off++ // the colon
		p.peek()
		each(name)
		if p.peek() == ',' {
			p.off++
		}
	}
	p.off++
}

// any reads a value of whatever type the input says.
func (p *parser) any() any {
	switch p.peek() {
	case '"':
		return p.string()
	case '[':
		list := []any{}
		for p.off++; p.peek() != ']'; {
			list = append(list, p.any())
			if p.peek() == ',' {
				p.off++
			}
		}
		p.off++
		return list
	case '{':
		return p.mapping()
	}
	switch token := p.token(); string(token) {
	case "null":
		return nil
	case "true":
		return true
	case "false":
		return false
	default:
		return number(string(token))
	}
}

// number is the int64, uint64 or float64 that a JSON number stands for; beyond all of them it is an infinity.
func number(text string) any {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		return n
	}
	if n, err := strconv.ParseUint(text, 10, 64); err == nil {
		return n
	}
	f, _ := strconv.ParseFloat(text, 64) // an error is only possible for the range, and leaves the infinity
	return f
}

// skip passes over a value.
func (p *parser) skip() {
	switch p.peek() {
	case '{', '[':
		for depth := 0; ; {
			switch p.peek() {
			case '{', '[':
				depth++
				p.off++
			case '}', ']':
				depth--
				p.off++
			case ',', ':':
				p.off++
			case '"':
				p.token()
			default:
				p.off++
			}
			if depth == 0 {
				return
			}
		}
	}
	p.token()
}

// text reads a scalar as text; ok is false for a null and what is no scalar, which is passed over.
func (p *parser) text() (text string, ok bool) {
	switch p.peek() {
	case '"':
		return p.string(), true
	case '{', '[', 'n':
		p.skip()
		return "", false
	}
	return string(p.token()), true
}

// mapping reads an object for an interface: one of a class when its first member says so.
func (p *parser) mapping() any {
	start := p.off
	class, ok := p.class()
	p.off = start
	if !ok {
		m := map[string]any{}
		p.members(func(name string) { m[name] = p.any() })
		return m
	}
	rt, known := p.r.s.types.Type(class)
	if !known {
		o := new(serialize.Object)
		p.object(o)
		return o
	}
	p.skip()
	if v := p.r.typed(rt, p.src[start:p.off]); v != nil {
		return v
	}
	return nil
}

// class reads the class of an object, if its first member names one.
func (p *parser) class() (class string, ok bool) {
	p.off++
	if p.peek() != '"' || string(p.token()) != `"`+classKey+`"` {
		return "", false
	}
	p.peek()
	p.off++ // the colon
	if p.peek() != '"' {
		return "", false
	}
	return p.string(), true
}

func (p *parser) object(o *serialize.Object) {
	first := true
	p.members(func(name string) {
		v := p.any()
		class, isText := v.(string)
		if first && isText && name == classKey {
			o.Class = class
		} else {
			o.Fields = append(o.Fields, serialize.Field{Name: name, Value: v})
		}
		first = false
	})
}

// normalize turns the json.Numbers in interfaces inside v into int64, uint64 and float64.
func normalize(v reflect.Value) {
	switch v.Kind() {
	case reflect.Interface:
		if !v.IsNil() && v.CanSet() && v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(normal(v.Elem().Interface())))
		}
	case reflect.Pointer:
		normalize(v.Elem())
	case reflect.Struct:
		for i := range v.NumField() {
			normalize(v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		for i := 0; i < v.Len() && !leaf(v.Type().Elem().Kind()); i++ {
			normalize(v.Index(i))
		}
	case reflect.Map:
		if leaf(v.Type().Elem().Kind()) || !v.CanInterface() {
			return
		}
		for it := v.MapRange(); it.Next(); {
			e := reflect.New(v.Type().Elem()).Elem()
			e.Set(it.Value())
			normalize(e)
			v.SetMapIndex(it.Key(), e)
		}
	}
}

func leaf(k reflect.Kind) bool { return k <= reflect.Complex128 || k == reflect.String }

func normal(x any) any {
	switch x := x.(type) {
	case json.Number:
		return number(x.String())
	case []any:
		for i := range x {
			if x[i] != nil {
				x[i] = normal(x[i])
			}
		}
	case map[string]any:
		for k, v := range x {
			if v != nil {
				x[k] = normal(v)
			}
		}
	}
	return x
}
