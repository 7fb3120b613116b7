package gen

import (
	"go/types"
	"strings"
)

// A typeStack holds the slices and maps that are being printed, to notice one that contains itself.
type typeStack []types.Type

// push adds t; it says no when t is there already, so that printing it would never end.
func (s *typeStack) push(t types.Type) bool {
	for _, o := range *s {
		if types.Identical(o, t) {
			return false
		}
	}
	*s = append(*s, t)
	return true
}

func (s *typeStack) pop() { *s = (*s)[:len(*s)-1] }

// byAddress says whether elements of the type are written through a pointer, which a loop variable would have to be copied for.
func byAddress(t types.Type) bool {
	_, isStruct := t.Underlying().(*types.Struct)
	_, isArray := t.Underlying().(*types.Array)
	return isStruct && !isTime(t) || isArray || isAny(t)
}

// typed prints call, whose result may be unnamed, as a value of exactly the type t.
func typed(pr *printer, t types.Type, call string) string {
	if _, ok := types.Unalias(t).(*types.Named); ok && !isTime(t) && !strings.HasPrefix(call, pr.typ(t)+"(") {
		return pr.typ(t) + "(" + call + ")"
	}
	return call
}

// coded says whether *t is a struct with generated code for a format, or gets it in this run.
func (p *pkg) coded(t types.Type, method string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	if !ok {
		return false
	}
	if _, ok := n.Underlying().(*types.Struct); !ok {
		return false
	}
	return p.run[qualified(n.Obj())] != "" && p.generates(n, method) || hasMethod(t, method)
}

// generates says whether the method is one that this run writes for the struct. The msgpack library leaves types that turn
// themselves into text or bytes to their own methods, so they get none for it.
func (p *pkg) generates(n *types.Named, method string) bool {
	if method != "AppendMsgpack" && method != "ReadMsgpack" {
		return true
	}
	return !ownPacking(n)
}

// ownPacking says whether the msgpack library leaves the type to methods of its own.
func ownPacking(t types.Type) bool {
	for _, m := range []string{"EncodeMsgpack", "MarshalMsgpack", "MarshalBinary", "MarshalText"} {
		if hasMethod(t, m) {
			return true
		}
	}
	return false
}

// ownCodec says whether the type, struct or not, writes and reads itself by methods on the pointer to it.
func (p *pkg) ownCodec(t types.Type, method string) bool {
	return p.coded(t, method) || hasMethod(t, method)
}

// convert prints e, of type from, as a value of the unnamed type to.
func convert(from, to types.Type, e string) string {
	if types.Identical(types.Unalias(from), to) {
		return e
	}
	if _, basic := to.(*types.Basic); !basic {
		return e // assignable
	}
	return to.String() + "(" + e + ")"
}

// isStrings says whether t is a slice of string itself.
func isStrings(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	return ok && types.Identical(s.Elem(), types.Typ[types.String])
}

// isStringMap says whether t is a map of string to string.
func isStringMap(t types.Type) bool {
	m, ok := t.Underlying().(*types.Map)
	return ok && types.Identical(m.Key(), types.Typ[types.String]) && types.Identical(m.Elem(), types.Typ[types.String])
}
