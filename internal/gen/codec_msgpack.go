package gen

import (
	"fmt"
	"go/types"
	"strconv"
	"strings"
)

// A packer prints code for the primitives of serialize/msgpack, whose bytes github.com/vmihailenco/msgpack/v5 reads back
// equal. What has no code of its own goes through Value and Read, which reflect.
type packer struct {
	*printer
	p    *pkg
	open typeStack
}

// emitMsgpackRow prints the two methods of a row: its values one after another.
func emitMsgpackRow(pr *printer, p *pkg, name, letter string, values []value) {
	m := &packer{printer: pr, p: p}
	pkgName := pr.use(msgpackPkg, "msgpack")
	pr.function("func (a *%s) AppendMsgpack(w *%s.Writer) error {", name, pkgName)
	for i, v := range values {
		m.write("a."+letter+strconv.Itoa(i), v.typ)
	}
	pr.P("return nil\n}\n")
	pr.function("func (a *%s) ReadMsgpack(r *%s.Reader) error {", name, pkgName)
	for i, v := range values {
		m.read("a."+letter+strconv.Itoa(i), v.typ)
	}
	pr.P("return r.Err()\n}\n")
}

// emitMsgpackClass prints the two methods of a struct. A struct with tag options that only the library knows is left to it.
func emitMsgpackClass(pr *printer, p *pkg, c *class) {
	if hasMethod(c.obj.Type(), "AppendMsgpack") || hasMethod(c.obj.Type(), "ReadMsgpack") || ownPacking(c.obj.Type()) {
		return
	}
	m := &packer{printer: pr, p: p}
	name, pkgName := c.obj.Name(), pr.use(msgpackPkg, "msgpack")
	names := make([]string, len(c.msgpack))
	for i, f := range c.msgpack {
		names[i] = strconv.Quote(f.wire)
	}
	pr.P("// AppendMsgpack writes v as a map of its fields.")
	pr.function("func (v *%s) AppendMsgpack(w *%s.Writer) error {", name, pkgName)
	m.writeFields(c.msgpack)
	pr.P("return nil\n}\n")

	pr.P("// ReadMsgpack reads v from a map of its fields.")
	pr.function("func (v *%s) ReadMsgpack(r *%s.Reader) error {", name, pkgName)
	pr.P("n, _ := r.Map()\nfor i := 0; r.Next(i, n); i++ {")
	if len(names) == 0 {
		pr.P("r.Skip()\nr.Skip()\n}\nreturn r.Err()\n}\n")
		return
	}
	pr.P("switch r.Field(fields%s, i) {", name)
	for i, f := range c.msgpack {
		pr.P("case %d:", i)
		f.provide(pr)
		m.read("v."+f.path, f.typ)
	}
	pr.P("default:\nr.Skip()\n}\n}\nreturn r.Err()\n}\n")
	pr.P("var fields%s = []string{%s}\n", name, strings.Join(names, ", "))
}

// writeFields prints the map of a struct's fields; those with omitempty are counted first.
func (m *packer) writeFields(fields []field) {
	var omitted []string
	for _, f := range fields {
		if full := f.kept(); full != "" {
			omitted = append(omitted, full)
		}
	}
	if len(omitted) == 0 {
		m.P("w.Map(%d)", len(fields))
	} else {
		m.P("n := %d", len(fields)-len(omitted))
		for _, full := range omitted {
			m.P("if %s {\nn++\n}", full)
		}
		m.P("w.Map(n)")
	}
	for _, f := range fields {
		full := f.kept()
		if full != "" {
			m.P("if %s {", full)
		}
		m.P("w.String(%q)", f.wire)
		m.write("v."+f.path, f.typ)
		if full != "" {
			m.P("}")
		}
	}
}

// kept prints the condition under which a field is written; nothing when it always is. Fields of an embedded pointer that
// is nil are left out: the library writes them as nulls, and panics when it reads some of those.
func (f *field) kept() string {
	var list []string
	for _, g := range f.guards {
		list = append(list, "v."+g.path+" != nil")
	}
	if full := notEmpty("v."+f.path, f.typ); f.omit && full != "" {
		list = append(list, full)
	}
	return strings.Join(list, " && ")
}

// notEmpty prints the condition under which omitempty keeps e; nothing when it always does.
func notEmpty(e string, t types.Type) string {
	if isTime(t) {
		return "!" + e + ".IsZero()"
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		switch {
		case u.Kind() == types.Bool:
			return e
		case u.Kind() == types.String:
			return e + ` != ""`
		}
		return e + " != 0"
	case *types.Pointer, *types.Interface:
		return e + " != nil"
	case *types.Slice, *types.Map:
		return "len(" + e + ") != 0"
	}
	return ""
}

// write prints the statements that write e, an expression of type t.
func (m *packer) write(e string, t types.Type) {
	switch {
	case isBigInt(t):
		m.P("if %s == nil {\nw.Nil()\n} else if err := w.Value(%s); err != nil {\nreturn err\n}", e, e)
		return
	case ownPacking(t) && !isTime(t):
		m.P("if err := w.Value(&%s); err != nil {\nreturn err\n}", m.variable(e))
		return
	}
	if call, ok := msgpackWriteCall(t); ok {
		m.P("w."+call, e)
		return
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		_, isStruct := u.Elem().Underlying().(*types.Struct)
		switch {
		case m.p.coded(u.Elem(), "AppendMsgpack"):
			m.P("if %s == nil {\nw.Nil()\n} else if err := w.Object(%s); err != nil {\nreturn err\n}", e, e)
		case isStruct && !isTime(u.Elem()):
			m.P("if %s == nil {\nw.Nil()\n} else if err := w.Value(%s); err != nil {\nreturn err\n}", e, e)
		default:
			m.P("if %s == nil {\nw.Nil()\n} else {", e)
			m.write("*"+e, u.Elem())
			m.P("}")
		}
	case *types.Interface, *types.Struct, *types.Array:
		if m.p.coded(t, "AppendMsgpack") {
			m.P("if err := w.Object(&%s); err != nil {\nreturn err\n}", e)
			return
		}
		m.P("if err := w.Value(&%s); err != nil {\nreturn err\n}", e)
	case *types.Slice:
		m.writeSlice(e, t, u)
	case *types.Map:
		m.writeMap(e, t, u)
	}
}

// variable returns e if its address can be taken, else a new variable with its value.
func (m *packer) variable(e string) string { return (&hessian{printer: m.printer}).variable(e) }

func (m *packer) writeSlice(e string, t types.Type, u *types.Slice) {
	if !m.open.push(t) {
		m.P("if err := w.Value(&%s); err != nil {\nreturn err\n}", e)
		return
	}
	defer m.open.pop()
	m.P("if %s == nil {\nw.Nil()\n} else {\nw.Array(len(%s))", e, e)
	if byAddress(u.Elem()) {
		i := m.fresh("i")
		m.P("for %s := range %s {", i, e)
		m.write(e+"["+i+"]", u.Elem())
	} else {
		x := m.fresh("x")
		m.P("for _, %s := range %s {", x, e)
		m.write(x, u.Elem())
	}
	m.P("}\n}")
}

func (m *packer) writeMap(e string, t types.Type, u *types.Map) {
	if isAny(u.Elem()) || !m.open.push(t) { // the library of this package boxes less than a loop would
		m.P("if err := w.Value(&%s); err != nil {\nreturn err\n}", e)
		return
	}
	defer m.open.pop()
	k, x := m.fresh("k"), m.fresh("x")
	m.P("if %s == nil {\nw.Nil()\n} else {\nw.Map(len(%s))\nfor %s, %s := range %s {", e, e, k, x, e)
	m.write(k, u.Key())
	m.write(x, u.Elem())
	m.P("}\n}")
}

// msgpackWriteCall returns the call, with %s for the expression, for types that one primitive writes.
func msgpackWriteCall(t types.Type) (string, bool) {
	switch {
	case isTime(t):
		return "Time(%s)", true
	case isBytes(t):
		return "Binary(%s)", true
	}
	u, ok := t.Underlying().(*types.Basic)
	if !ok {
		return "", false
	}
	switch u.Kind() {
	case types.Bool:
		return "Bool(" + convert(t, u, "%s") + ")", true
	case types.Float32:
		return "Float32(" + convert(t, u, "%s") + ")", true
	case types.Float64:
		return "Float64(" + convert(t, u, "%s") + ")", true
	case types.String:
		return "String(" + convert(t, u, "%s") + ")", true
	}
	if u.Info()&types.IsUnsigned != 0 {
		return "Uint(" + convert(t, types.Typ[types.Uint64], "%s") + ")", true
	}
	return "Int(" + convert(t, types.Typ[types.Int64], "%s") + ")", true
}

// read prints the statements that read into e, a variable of type t.
func (m *packer) read(e string, t types.Type) {
	if call, ok := m.readCall(t); ok {
		m.P("%s = %s", e, call)
		return
	}
	pkgName := m.use(msgpackPkg, "msgpack")
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		_, isStruct := u.Elem().Underlying().(*types.Struct)
		switch {
		case m.p.coded(u.Elem(), "ReadMsgpack"):
			m.reset(e)
			m.P("if !r.Nil() {\n%s = %s.Make[%s](r)\nr.Fail(%s.ReadMsgpack(r))\n}", e, pkgName, m.typ(u.Elem()), e)
		case isStruct && !isTime(u.Elem()):
			m.P("r.Fail(r.Read(&%s))", e)
		default:
			x := m.fresh("x")
			m.reset(e)
			m.P("if !r.Nil() {")
			m.define(x, u.Elem())
			m.P("%s = &%s\n}", e, x)
		}
	case *types.Slice:
		if ownPacking(t) || !m.open.push(t) {
			m.P("r.Fail(r.Read(&%s))", e)
			return
		}
		defer m.open.pop()
		n, i := m.fresh("n"), m.fresh("i")
		m.reset(e)
		m.P("if %s, ok := r.Array(); ok {\n%s = %s.MakeSlice[%s](r, %s)", n, e, pkgName, m.typ(u.Elem()), n)
		m.P("for %s := 0; r.Next(%s, %s); %s++ {", i, i, n, i)
		m.read(e+"["+i+"]", u.Elem())
		m.P("}\n}")
	case *types.Map:
		m.readMap(e, t, u)
	case *types.Struct:
		if m.p.coded(t, "ReadMsgpack") {
			m.P("r.Fail(%s.ReadMsgpack(r))", e)
			return
		}
		m.P("r.Fail(r.Read(&%s))", e)
	default:
		m.P("r.Fail(r.Read(&%s))", e)
	}
}

func (m *packer) readMap(e string, t types.Type, u *types.Map) {
	if ownPacking(t) || !m.open.push(t) {
		m.P("r.Fail(r.Read(&%s))", e)
		return
	}
	defer m.open.pop()
	k, x, n, i := m.fresh("k"), m.fresh("x"), m.fresh("n"), m.fresh("i")
	m.reset(e)
	m.P("if %s, ok := r.Map(); ok {\n%s = %s.MakeMap[%s, %s](r, %s)", n, e, m.use(msgpackPkg, "msgpack"), m.typ(u.Key()), m.typ(u.Elem()), n)
	m.P("for %s := 0; r.Next(%s, %s); %s++ {", i, i, n, i)
	m.define(k, u.Key())
	m.define(x, u.Elem())
	m.P("%s[%s] = %s\n}\n}", e, k, x)
}

// define prints the declaration of x with the value that is read into it.
func (m *packer) define(x string, t types.Type) {
	if call, ok := m.readCall(t); ok {
		m.P("%s := %s", x, typed(m.printer, t, call))
		return
	}
	m.P("var %s %s", x, m.typ(t))
	m.read(x, t)
}

// readCall returns the expression for types that one primitive reads.
func (m *packer) readCall(t types.Type) (string, bool) {
	switch {
	case isTime(t):
		return "r.Time()", true
	case ownPacking(t):
		return "", false
	case isBytes(t):
		return "r.Binary()", true
	}
	u, ok := t.Underlying().(*types.Basic)
	if !ok || u.Kind() == types.Uint8 || u.Kind() == types.Uint16 || u.Kind() == types.Uint {
		return "", false
	}
	call := "r." + strings.ToUpper(u.Name()[:1]) + u.Name()[1:] + "()"
	if types.Identical(types.Unalias(t), u) {
		return call, true
	}
	return fmt.Sprintf("%s(%s)", m.typ(t), call), true
}
