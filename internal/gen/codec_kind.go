package gen

import (
	"go/types"
	"strings"
)

// writers are the primitives for the forms that a tag or directive asks for; readers those that read them.
var (
	writers = map[string]string{"date": "Date", "localdate": "LocalDate", "localtime": "LocalTime", "localdatetime": "LocalDateTime",
		"instant": "Instant", "duration": "Duration"}
	integers = map[string]string{"byte": "int8", "short": "int16", "int": "int32", "long": "int64"}
)

// writeKind prints what writes e, of type t, in a form of another kind; no when the form is meant for what t contains.
func (h *hessian) writeKind(e string, t types.Type, kind string) bool {
	switch {
	case writers[kind] != "" && (isTime(t) || named(t, "time", "Duration")):
		h.P("w.%s(%s)", writers[kind], e)
	case integers[kind] != "":
		h.writeInteger(e, t, kind)
	case kind == "uuid" && isUUID(t):
		h.P("w.UUID(%s.UUID(%s))", h.use(hessianPkg, "hessian2"), e)
	case kind == "decimal" && isRat(t):
		h.P("if digits, exact := %s.FloatPrec(); exact {\nw.Decimal(%s.FloatString(digits))\n} else {", e, e)
		h.P("return %s.Errorf(\"hessian2: write %%s as a decimal: %%w\", %s.RatString(), %s.ErrUnsupported)\n}", h.std("fmt"), e, h.use(typesPkg, "serialize"))
	case kind == "decimal" && isString(t):
		h.P("w.Decimal(%s)", convert(t, types.Typ[types.String], e))
	case kind == "decimal" && isText(t):
		h.writeText(e, "w.Decimal(string(text))")
	default:
		return false
	}
	return true
}

// writeText prints what writes e, which has MarshalText, by a call that uses text.
func (h *hessian) writeText(e, call string) {
	h.P("if text, err := %s.MarshalText(); err != nil {\nreturn err\n} else {\n%s\n}", e, call)
}

// writeInteger prints what writes a Go integer as the Java type that a directive names, which may be narrower.
func (h *hessian) writeInteger(e string, t types.Type, kind string) {
	call := "Int(int32"
	if kind == "long" {
		call = "Long(int64"
	}
	u := t.Underlying().(*types.Basic)
	if narrow := integers[kind]; !fits(u, kind) {
		h.P("if %s(%s(%s)) != %s || (%s(%s) < 0) != (%s < 0) {", u.Name(), narrow, e, convert(t, u, e), narrow, e, e)
		h.P("return %s.Errorf(\"hessian2: write %%d, which is no Java %s: %%w\", %s, %s.ErrUnsupported)\n}", h.std("fmt"), kind, e, h.use(typesPkg, "serialize"))
	}
	h.P("w.%s(%s))", call, e)
}

// fits says whether every value of the Go type is one of the Java type.
func fits(u *types.Basic, kind string) bool {
	bits := map[types.BasicKind]int{types.Int8: 8, types.Uint8: 9, types.Int16: 16, types.Uint16: 17, types.Int32: 32, types.Uint32: 33, types.Int: 64, types.Int64: 64, types.Uint: 65, types.Uint64: 65}
	return bits[u.Kind()] <= map[string]int{"byte": 8, "short": 16, "int": 32, "long": 64}[kind]
}

func (h *hessian) writeEnum(e string, t types.Type) {
	n := types.Unalias(t).(*types.Named)
	if n.Obj().Pkg() != h.pkg {
		h.value(h.variable(e))
		return
	}
	class := "class" + n.Obj().Name()
	if isString(t) {
		h.P("w.Enum(%s, string(%s))", class, e)
		return
	}
	h.writeText(strings.TrimPrefix(e, "*"), "w.Enum("+class+", string(text))")
}

// variable returns e if its address can be taken, else a new variable with its value.
func (h *hessian) variable(e string) string {
	if strings.HasPrefix(e, "a.") || strings.HasPrefix(e, "v.") {
		return e
	}
	x := h.fresh("x")
	h.P("%s := %s", x, e)
	return x
}

// readKind is the counterpart of writeKind.
func (h *hessian) readKind(e string, t types.Type, kind string) bool {
	switch {
	case kind == "duration" && named(t, "time", "Duration"):
		h.P("%s = r.Duration()", e)
	case writers[kind] != "" && isTime(t):
		h.P("%s = r.Date()", e)
	case integers[kind] != "":
		h.readNumber(e, t)
	case kind == "uuid" && isUUID(t):
		h.P("%s = %s(r.UUID())", e, h.typ(t))
	case kind == "decimal" && isRat(t):
		x := h.fresh("x")
		h.P("if %s, ok := %s.Decimal(r.Decimal()).Rat(); ok {\n%s.Set(%s)\n}", x, h.use(hessianPkg, "hessian2"), e, x)
	case kind == "decimal" && isString(t):
		h.P("%s = %s(r.Decimal())", e, h.typ(t))
	case kind == "decimal" && isText(t):
		h.readText(e, "Decimal")
	default:
		return false
	}
	return true
}

// readText prints what reads e, which has UnmarshalText, by a primitive that gives text.
func (h *hessian) readText(e, primitive string) {
	x := h.fresh("x")
	h.P("if %s := r.%s(); %s != \"\" {\nr.Fail(%s.UnmarshalText([]byte(%s)))\n}", x, primitive, x, e, x)
}

func (h *hessian) readEnum(e string, t types.Type) {
	n := types.Unalias(t).(*types.Named)
	switch {
	case n.Obj().Pkg() != h.pkg:
		h.P("r.Fail(r.Read(&%s))", e)
	case isString(t):
		h.P("%s = %s(r.Enum())", e, n.Obj().Name())
	default:
		h.readText(e, "Enum")
	}
}

// readNumber prints what reads an integer that no primitive checks: by way of Read, which knows the range of its type.
func (h *hessian) readNumber(e string, t types.Type) {
	if call, ok := h.readCall(t); ok {
		h.P("%s = %s", e, call)
		return
	}
	h.P("r.Fail(r.Read(&%s))", e)
}

// absent prints the condition under which an embedded pointer on the way to the field is nil.
func (f *field) absent() string {
	list := make([]string, len(f.guards))
	for i, g := range f.guards {
		list[i] = "v." + g.path + " == nil"
	}
	return strings.Join(list, " || ")
}

// provide prints what makes the embedded structs on the way to the field.
func (f *field) provide(pr *printer) {
	for _, g := range f.guards {
		pr.P("if v.%s == nil {\nv.%s = new(%s)\n}", g.path, g.path, pr.typ(g.elem))
	}
}
