package gen

import (
	"go/types"
	"slices"
	"strings"
)

// A form is how a value travels in Hessian when that differs from the Go type's own way. It comes from the options of a
// field tag (the rules are those of serialize/hessian2) or from the Java types of //ferry:method.
type form struct {
	array bool   // a Java array instead of a list
	class string // of a list or map: java.util.HashSet
	kind  string // localdate, decimal …; or int, short, byte for a wider Go integer
}

// kinds are the tag options that name the Java form of a value.
var kinds = []string{"date", "localdate", "localtime", "localdatetime", "instant", "duration", "decimal", "uuid"}

// parseForm reads the options of a field tag for a value of type t. The text says what is wrong with them.
func parseForm(options string, t types.Type) (form, string) {
	var f form
	if options == "" {
		return f, ""
	}
	for o := range strings.SplitSeq(options, ",") {
		switch {
		case o == "array":
			f.array = true
		case slices.Contains(kinds, o):
			f.kind = o
		case strings.ContainsAny(o, ".["):
			f.class = o
		default:
			return f, "has the unknown tag option " + o + ": there are array, " + strings.Join(kinds, ", ") + ", or the class of a list or map"
		}
	}
	outer := types.Unalias(t).Underlying()
	_, isSlice := outer.(*types.Slice)
	_, isMap := outer.(*types.Map)
	switch {
	case f.array && (!isSlice || isBytes(t) || isInt8s(t)):
		return f, "has the tag option array, which is for slices of other than bytes"
	case f.class != "" && !isSlice && !isMap:
		return f, "names a class in its tag, which is for slices and maps; structs have //ferry:class"
	case f.kind != "" && !kindSuits(f.kind, leaf(t)):
		return f, "cannot be a " + f.kind + " in Java: " + kindHelp(f.kind)
	}
	return f, ""
}

// leaf returns what lies behind pointers, slices and maps.
func leaf(t types.Type) types.Type {
	for !isTime(t) && !isBigInt(t) {
		switch u := t.Underlying().(type) {
		case *types.Pointer:
			t = u.Elem()
		case *types.Slice:
			t = u.Elem()
		case *types.Map:
			t = u.Elem()
		default:
			return t
		}
	}
	return t
}

// kindSuits says whether a value of type t can have that form.
func kindSuits(kind string, t types.Type) bool {
	switch kind {
	case "duration":
		return named(t, "time", "Duration")
	case "uuid":
		return isUUID(t)
	case "decimal":
		return isString(t) || isRat(t) || isText(t)
	}
	return isTime(t)
}

func kindHelp(kind string) string {
	switch kind {
	case "duration":
		return "use a time.Duration"
	case "uuid":
		return "use a [16]byte"
	case "decimal":
		return "use a string, a *big.Rat, or a type with MarshalText and UnmarshalText"
	}
	return "use a time.Time"
}

// inner returns the form of the elements of a slice or map.
func (f form) inner(elem types.Type) form {
	_, isSlice := elem.Underlying().(*types.Slice)
	return form{kind: f.kind, array: f.array && isSlice && !isBytes(elem)}
}

func isString(t types.Type) bool {
	b, ok := t.Underlying().(*types.Basic)
	return ok && b.Info()&types.IsString != 0
}

func isRat(t types.Type) bool { return named(t, "math/big", "Rat") }

func isInt8s(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	e, ok := s.Elem().Underlying().(*types.Basic)
	return ok && e.Kind() == types.Int8
}

func isUUID(t types.Type) bool {
	a, ok := t.Underlying().(*types.Array)
	if !ok || a.Len() != 16 {
		return false
	}
	e, ok := a.Elem().Underlying().(*types.Basic)
	return ok && e.Kind() == types.Uint8
}

// isText says whether *t turns itself into text and back.
func isText(t types.Type) bool { return hasMethod(t, "MarshalText") && hasMethod(t, "UnmarshalText") }

// arrayClass returns Hessian's type name of a Java array whose elements are of type t.
func (p *pkg) arrayClass(t types.Type) string {
	switch {
	case isTime(t):
		return "[date"
	case isBigInt(t):
		return "[java.math.BigInteger"
	case isString(t) && !hasMethod(t, "MarshalHessian2"):
		return "[string"
	}
	switch d := p.descriptor(t); d[0] {
	case 'Z':
		return "[boolean"
	case 'S':
		return "[short"
	case 'I':
		return "[int"
	case 'J':
		return "[long"
	case 'F':
		return "[float"
	case 'D':
		return "[double"
	case 'B':
		return "[byte"
	case '[':
		return "[[byte"
	case 'L':
		if s, ok := t.Underlying().(*types.Slice); ok {
			return "[" + p.arrayClass(s.Elem())
		}
		if class := strings.ReplaceAll(d[1:len(d)-1], "/", "."); class != "java.lang.Object" && class != "java.lang.String" {
			return "[" + class
		}
	}
	return "[object"
}

// formOf finds the form in which a value of Go type t travels as the Java type with that descriptor; ok is false when it
// cannot.
func (p *pkg) formOf(t types.Type, java string) (form, bool) {
	own := p.descriptor(t)
	plain := strings.HasPrefix(java, "L")
	switch {
	case own == java, wrappers[own] == java && own != java, isAny(t) && plain, java == "Ljava/lang/Object;", java == "Ljava/io/Serializable;":
		return form{}, own == java || plain
	case isTime(leaf(t)) && own == "Ljava/util/Date;":
		kind, ok := map[string]string{"LocalDate": "localdate", "LocalTime": "localtime", "LocalDateTime": "localdatetime", "Instant": "instant"}[strings.TrimSuffix(strings.TrimPrefix(java, "Ljava/time/"), ";")]
		return form{kind: kind}, ok
	case java == "Ljava/time/Duration;":
		return form{kind: "duration"}, named(leaf(t), "time", "Duration")
	case java == "Ljava/math/BigDecimal;":
		return form{kind: "decimal"}, kindSuits("decimal", leaf(t))
	case java == "Ljava/util/UUID;":
		return form{kind: "uuid"}, isUUID(leaf(t))
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		if kind, ok := map[string]string{"B": "byte", "S": "short", "I": "int", "J": "long"}[java]; ok && u.Info()&types.IsInteger != 0 {
			return form{kind: kind}, true
		}
		if u.Info()&types.IsFloat != 0 && (java == "F" || java == "D") {
			return form{}, true
		}
		return form{}, isString(t) && (java == "C" || java == "[C")
	case *types.Slice:
		if java[0] == '[' && !isBytes(t) && !isInt8s(t) {
			_, ok := p.formOf(u.Elem(), java[1:])
			return form{array: true}, ok
		}
		return form{}, !isBytes(t) && (strings.HasPrefix(java, "Ljava/util/") || java == "Ljava/lang/Iterable;")
	case *types.Map:
		return form{}, strings.HasPrefix(java, "Ljava/util/")
	case *types.Pointer:
		if _, isStruct := u.Elem().Underlying().(*types.Struct); isStruct && !isTime(u.Elem()) {
			return form{}, plain
		}
		return form{}, false
	case *types.Struct:
		return form{}, plain
	}
	return form{}, false
}
