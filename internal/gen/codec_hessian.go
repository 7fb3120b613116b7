package gen

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"
)

// A hessian prints code for the primitives of serialize/hessian2. Containers become loops in place; what has no code of
// its own goes through Value and Read, which reflect.
type hessian struct {
	*printer
	p    *pkg
	open typeStack
}

// emitHessianRow prints the two methods of a row: its values one after another.
func emitHessianRow(pr *printer, p *pkg, name, letter string, values []value) {
	h := &hessian{printer: pr, p: p}
	pkgName := pr.use(hessianPkg, "hessian2")
	pr.function("func (a *%s) MarshalHessian2(w *%s.Writer) error {", name, pkgName)
	for i, v := range values {
		h.write("a."+letter+strconv.Itoa(i), v.typ, v.form)
	}
	pr.P("return nil\n}\n")
	pr.function("func (a *%s) UnmarshalHessian2(r *%s.Reader) error {", name, pkgName)
	for i, v := range values {
		h.read("a."+letter+strconv.Itoa(i), v.typ, v.form)
	}
	pr.P("return r.Err()\n}\n")
}

// emitHessianClass prints the class of a struct and its two methods.
func emitHessianClass(pr *printer, p *pkg, c *class) {
	h := &hessian{printer: pr, p: p}
	name, pkgName := c.obj.Name(), pr.use(hessianPkg, "hessian2")
	if hasMethod(c.obj.Type(), "MarshalHessian2") || hasMethod(c.obj.Type(), "UnmarshalHessian2") {
		return
	}
	args := []string{strconv.Quote(c.java)}
	for _, f := range c.fields {
		args = append(args, strconv.Quote(f.wire))
	}
	pr.P("var class%s = %s.NewClass(%s)\n", name, pkgName, strings.Join(args, ", "))

	pr.P("// MarshalHessian2 writes v as an object of its Java class.")
	pr.function("func (v *%s) MarshalHessian2(w *%s.Writer) error {", name, pkgName)
	pr.P("w.Object(class%s)", name)
	for _, f := range c.fields {
		if len(f.guards) > 0 {
			pr.P("if %s {\nw.Null()\n} else {", f.absent())
		}
		h.write("v."+f.path, f.typ, f.form)
		if len(f.guards) > 0 {
			pr.P("}")
		}
	}
	pr.P("return nil\n}\n")

	pr.P("// UnmarshalHessian2 reads v from an object of its Java class, or of one that shares fields with it, or from a map.")
	pr.P("func (v *%s) UnmarshalHessian2(r *%s.Reader) error {", name, pkgName)
	if len(c.fields) == 0 {
		pr.P("r.Skip()\nreturn r.Err()\n}\n")
		return
	}
	pr.P("if r.AtMap() {\nif r.Map() {\nfor r.MoreEntries() {\nv.readHessian2(r, r.Field(class%s))\n}\n}\nreturn r.Err()\n}", name)
	pr.P("fields, ok := r.Object(class%s)\nfor _, i := range fields {\nv.readHessian2(r, i)\n}", name)
	pr.P("if ok {\nr.EndObject()\n}\nreturn r.Err()\n}\n")
	pr.function("func (v *%s) readHessian2(r *%s.Reader, i int16) {\nswitch i {", name, pkgName)
	for i, f := range c.fields {
		pr.P("case %d:", i)
		f.provide(pr)
		h.read("v."+f.path, f.typ, f.form)
	}
	pr.P("default:\nr.Skip()\n}\n}\n")
}

// write prints the statements that write e, an expression of type t.
func (h *hessian) write(e string, t types.Type, f form) {
	switch {
	case f.kind != "" && h.writeKind(e, t, f.kind):
		return
	case h.p.ownCodec(t, "MarshalHessian2"):
		h.P("if err := %s.MarshalHessian2(w); err != nil {\nreturn err\n}", strings.TrimPrefix(e, "*"))
		return
	case h.p.enumClass(t) != "":
		h.writeEnum(e, t)
		return
	}
	if call, ok := hessianWriteCall(t); ok && f == (form{}) {
		h.P("w."+call, e)
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		h.writeNumber(e, t, u)
	case *types.Pointer:
		h.writePointer(e, u, f)
	case *types.Slice:
		h.writeSlice(e, t, u, f)
	case *types.Map:
		h.writeMap(e, t, u, f)
	case *types.Interface:
		h.P("if err := w.Value(%s); err != nil {\nreturn err\n}", e)
	default:
		h.value(e)
	}
}

// value prints the call that writes e by reflection.
func (h *hessian) value(e string) { h.P("if err := w.Value(&%s); err != nil {\nreturn err\n}", e) }

func (h *hessian) writePointer(e string, u *types.Pointer, f form) {
	_, isStruct := u.Elem().Underlying().(*types.Struct)
	switch {
	case h.p.coded(u.Elem(), "MarshalHessian2"):
		h.P("if %s == nil {\nw.Null()\n} else if !w.Seen(%s) {\nif err := %s.MarshalHessian2(w); err != nil {\nreturn err\n}\n}", e, e, e)
	case isStruct && !isTime(u.Elem()) && f.kind == "":
		h.P("if %s == nil {\nw.Null()\n} else if err := w.Value(%s); err != nil {\nreturn err\n}", e, e)
	default:
		h.P("if %s == nil {\nw.Null()\n} else {", e)
		if f.kind == "decimal" && isRat(u.Elem()) || f.kind == "decimal" && isText(u.Elem()) {
			h.write(e, u.Elem(), f)
		} else {
			h.write("*"+e, u.Elem(), f)
		}
		h.P("}")
	}
}

func (h *hessian) writeSlice(e string, t types.Type, u *types.Slice, f form) {
	if !h.open.push(t) {
		h.value(e)
		return
	}
	defer h.open.pop()
	class := f.class
	if f.array {
		class = h.p.arrayClass(u.Elem())
	}
	h.P("if %s == nil {\nw.Null()\n} else {\nw.List(%q, len(%s))", e, class, e)
	if byAddress(u.Elem()) {
		i := h.fresh("i")
		h.P("for %s := range %s {", i, e)
		h.write(e+"["+i+"]", u.Elem(), f.inner(u.Elem()))
	} else {
		x := h.fresh("x")
		h.P("for _, %s := range %s {", x, e)
		h.write(x, u.Elem(), f.inner(u.Elem()))
	}
	h.P("}\n}")
}

func (h *hessian) writeMap(e string, t types.Type, u *types.Map, f form) {
	if !h.open.push(t) {
		h.value(e)
		return
	}
	defer h.open.pop()
	k, x := h.fresh("k"), h.fresh("x")
	h.P("if %s == nil {\nw.Null()\n} else {\nw.Map(%q)\nfor %s, %s := range %s {", e, f.class, k, x, e)
	h.write(k, u.Key(), form{})
	h.write(x, u.Elem(), form{kind: f.kind})
	h.P("}\nw.EndMap()\n}")
}

// hessianWriteCall returns the call, with %s for the expression, for types that one primitive writes.
func hessianWriteCall(t types.Type) (string, bool) {
	switch {
	case isTime(t):
		return "Date(%s)", true
	case isBigInt(t):
		return "BigInt(%s)", true
	case isBytes(t):
		return "Binary(%s)", true
	case isStrings(t):
		return "Strings(%s)", true
	case isStringMap(t):
		return "StringMap(%s)", true
	}
	u, ok := t.Underlying().(*types.Basic)
	if !ok {
		return "", false
	}
	switch u.Kind() {
	case types.Bool:
		return "Bool(" + convert(t, u, "%s") + ")", true
	case types.Int8, types.Int16, types.Int32, types.Uint8, types.Uint16:
		return "Int(" + convert(t, types.Typ[types.Int32], "%s") + ")", true
	case types.Int, types.Int64, types.Uint32:
		return "Long(" + convert(t, types.Typ[types.Int64], "%s") + ")", true
	case types.Float32:
		return "Float(" + convert(t, u, "%s") + ")", true
	case types.Float64:
		return "Double(" + convert(t, u, "%s") + ")", true
	case types.String:
		return "String(" + convert(t, u, "%s") + ")", true
	}
	return "", false
}

// writeNumber prints what writes an unsigned number that may be too large for a Java long.
func (h *hessian) writeNumber(e string, t types.Type, u *types.Basic) {
	h.P("if %s > %s.MaxInt64 {\nreturn %s.Errorf(\"hessian2: write %%d, which is beyond a Java long: %%w\", %s, %s.ErrUnsupported)\n}",
		e, h.std("math"), h.std("fmt"), e, h.use(typesPkg, "serialize"))
	h.P("w.Long(int64(%s))", e)
}

// read prints the statements that read into e, a variable of type t.
func (h *hessian) read(e string, t types.Type, f form) {
	switch {
	case f.kind != "" && h.readKind(e, t, f.kind):
		return
	case h.p.ownCodec(t, "UnmarshalHessian2"):
		h.P("r.Fail(%s.UnmarshalHessian2(r))", e)
		return
	case h.p.enumClass(t) != "":
		h.readEnum(e, t)
		return
	}
	if call, ok := h.readCall(t); ok && f.kind == "" {
		h.P("%s = %s", e, call)
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		h.readPointer(e, u, f)
	case *types.Slice:
		if !h.open.push(t) {
			h.P("r.Fail(r.Read(&%s))", e)
			return
		}
		defer h.open.pop()
		n, i := h.fresh("n"), h.fresh("i")
		h.P("%s, _ := r.List()", n)
		h.P("%s = %s.Make[%s](r, %s)", e, h.use(hessianPkg, "hessian2"), h.typ(u.Elem()), n)
		h.P("for %s := 0; r.Next(%s, %s); %s++ {", i, i, n, i)
		h.read(e+"["+i+"]", u.Elem(), f.inner(u.Elem()))
		h.P("}")
	case *types.Map:
		h.readMap(e, t, u, f)
	default:
		h.P("r.Fail(r.Read(&%s))", e)
	}
}

func (h *hessian) readPointer(e string, u *types.Pointer, f form) {
	_, isStruct := u.Elem().Underlying().(*types.Struct)
	switch {
	case h.p.coded(u.Elem(), "UnmarshalHessian2"):
		h.P("%s = %s.Pointer[%s](r)", e, h.use(hessianPkg, "hessian2"), h.typ(u.Elem()))
	case isStruct && !isTime(u.Elem()) && f.kind == "":
		h.P("r.Fail(r.Read(&%s))", e)
	default:
		x := h.fresh("x")
		h.reset(e)
		h.P("if !r.Null() {")
		h.define(x, u.Elem(), f)
		h.P("%s = &%s\n}", e, x)
	}
}

func (h *hessian) readMap(e string, t types.Type, u *types.Map, f form) {
	if !h.open.push(t) {
		h.P("r.Fail(r.Read(&%s))", e)
		return
	}
	defer h.open.pop()
	k, x := h.fresh("k"), h.fresh("x")
	h.reset(e)
	h.P("if r.Map() {\n%s = %s{}\nfor r.MoreEntries() {", e, h.typ(t))
	h.define(k, u.Key(), form{})
	h.define(x, u.Elem(), form{kind: f.kind})
	h.P("%s[%s] = %s\n}\n}", e, k, x)
}

// define prints the declaration of x with the value that is read into it.
func (h *hessian) define(x string, t types.Type, f form) {
	if call, ok := h.readCall(t); ok && f == (form{}) && !h.p.ownCodec(t, "UnmarshalHessian2") && h.p.enumClass(t) == "" {
		h.P("%s := %s", x, typed(h.printer, t, call))
		return
	}
	if u, ok := t.Underlying().(*types.Pointer); ok && h.p.coded(u.Elem(), "UnmarshalHessian2") {
		h.P("%s := %s.Pointer[%s](r)", x, h.use(hessianPkg, "hessian2"), h.typ(u.Elem()))
		return
	}
	h.P("var %s %s", x, h.typ(t))
	h.read(x, t, f)
}

// readCall returns the expression for types that one primitive reads.
func (h *hessian) readCall(t types.Type) (string, bool) {
	switch {
	case isTime(t):
		return "r.Date()", true
	case isBigInt(t):
		return "r.BigInt()", true
	case isBytes(t):
		return "r.Binary()", true
	case isStrings(t):
		return "r.Strings()", true
	case isStringMap(t):
		return "r.StringMap()", true
	case isAny(t):
		return "r.Any()", true
	}
	u, ok := t.Underlying().(*types.Basic)
	if !ok {
		return "", false
	}
	call, ok := map[types.BasicKind]string{types.Bool: "Bool", types.Int8: "Byte", types.Int16: "Short", types.Int32: "Int",
		types.Int: "Long", types.Int64: "Long", types.Float32: "Float", types.Float64: "Double", types.String: "String"}[u.Kind()]
	if !ok {
		return "", false
	}
	if types.Identical(types.Unalias(t), u) && u.Kind() != types.Int {
		return "r." + call + "()", true
	}
	return fmt.Sprintf("%s(r.%s())", h.typ(t), call), true
}
