package gen

import (
	"go/token"
	"go/types"
	"reflect"
	"slices"
	"strings"

	"github.com/ferryrpc/ferry/serialize"
)

// markedClass makes a class of a struct with //ferry:class or //ferry:error.
func (b *builder) markedClass(doc *typeDoc) {
	d, isClass := find(doc.above, "class")
	e, thrown := find(doc.above, "error")
	if !isClass && !thrown {
		return
	}
	if thrown {
		d = e
	}
	name := doc.spec.Name.Name
	if !javaClass(d.args) {
		b.errorf(d.pos, "//ferry:%s needs a Java class, for instance //ferry:%s com.example.%s", d.name, d.name, name)
		return
	}
	obj := b.object(doc)
	if obj == nil {
		return
	}
	_, isStruct := obj.Type().Underlying().(*types.Struct)
	switch enum := isString(obj.Type()) || isText(obj.Type()); {
	case isStruct:
		if msg := b.checkStruct(obj.Type()); msg != "" {
			b.errorf(doc.spec.Pos(), "%s %s", name, msg)
			return
		}
	case thrown || !enum:
		b.errorf(doc.spec.Pos(), "%s is no struct: //ferry:%s marks structs, and //ferry:class enums, which are strings or have MarshalText and UnmarshalText", name, d.name)
		return
	}
	errorType := types.Universe.Lookup("error").Type().Underlying().(*types.Interface)
	if thrown && !types.Implements(types.NewPointer(obj.Type()), errorType) {
		b.errorf(doc.spec.Pos(), "%s has no method Error() string: //ferry:error marks errors", name)
		return
	}
	for other, c := range b.classes {
		if c.java == d.args {
			b.errorf(d.pos, "%s is the class of %s already", d.args, other.Name())
			return
		}
	}
	b.classes[obj] = &class{obj: obj, file: doc.file, java: d.args, enum: !isStruct, named: true, thrown: thrown}
}

// A reacher notes every type that a type leads to, and makes classes of this package's structs among them.
type reacher struct {
	b       *builder
	in      string // the Java package of classes without directive
	service bool   // a service leads here, so its package is binding
	seen    map[types.Type]bool
}

func (r *reacher) reach(t types.Type) {
	t = types.Unalias(t)
	if r.seen[t] || isTime(t) || isBigInt(t) {
		return
	}
	r.seen[t] = true
	if obj := r.b.ownStruct(t); obj != nil {
		r.class(obj)
	}
	switch u := t.Underlying().(type) {
	case *types.Pointer:
		r.reach(u.Elem())
	case *types.Slice:
		r.reach(u.Elem())
	case *types.Map:
		r.reach(u.Elem())
	case *types.Struct:
		r.fields(u)
	}
}

// fields follows the fields of a struct. An embedded struct is part of the outer one, no class of its own.
func (r *reacher) fields(st *types.Struct) {
	for i := range st.NumFields() {
		f := st.Field(i)
		inner, _ := embedded(f)
		switch {
		case f.Embedded() && inner != nil && reflect.StructTag(st.Tag(i)).Get("java") == "":
			if !r.seen[inner] {
				r.seen[inner] = true
				r.fields(inner)
			}
		case f.Exported():
			r.reach(f.Type())
		}
	}
}

func (r *reacher) class(obj *types.TypeName) {
	doc := r.b.docs[obj.Name()]
	if doc == nil {
		return
	}
	name := strings.TrimPrefix(r.in+"."+obj.Name(), ".")
	c, ok := r.b.classes[obj]
	switch {
	case !ok:
		r.b.classes[obj] = &class{obj: obj, file: doc.file, java: name, service: r.service}
	case !c.named && c.service && r.service && c.java != name:
		r.b.errorf(obj.Pos(), "%s would be both %s and %s, as services of two Java packages use it: put //ferry:class above it", obj.Name(), c.java, name)
	}
}

// javaPackage returns what stands before the last dot of a class name.
func javaPackage(class string) string {
	return class[:max(0, strings.LastIndexByte(class, '.'))]
}

// readFields reads the fields of a class, once for each way in which they are named.
func (b *builder) readFields(c *class) {
	st, ok := c.obj.Type().Underlying().(*types.Struct)
	if !ok {
		return
	}
	seen := map[token.Pos]bool{}
	for _, way := range []struct {
		tag    string
		rename func(string) string
		into   *[]field
	}{
		{"java", serialize.JavaName, &c.fields},
		{"msgpack", func(s string) string { return s }, &c.msgpack},
	} {
		r := &fieldReader{b: b, owner: c.obj.Name(), tag: way.tag, rename: way.rename, depth: map[string]int{}, seen: seen}
		r.read(st, "", 0, nil)
		*way.into = r.fields
	}
}

// A fieldReader lists the fields of a struct under the names that one tag gives them.
type fieldReader struct {
	b      *builder
	owner  string
	tag    string
	rename func(string) string
	fields []field
	depth  map[string]int     // nesting of the field that has a name so far
	seen   map[token.Pos]bool // fields whose types have been looked at
	above  []*types.Struct
}

// read appends the fields of st, whose selector begins with path. Fields of embedded structs come in the place of the
// embedded one; an outer field hides inner ones of its name, as in Go.
func (r *fieldReader) read(st *types.Struct, path string, depth int, guards []guard) {
	if slices.Contains(r.above, st) {
		return // a struct that embeds a pointer to itself
	}
	r.above = append(r.above, st)
	defer func() { r.above = r.above[:len(r.above)-1] }()
	for i := range st.NumFields() {
		f := st.Field(i)
		tag := reflect.StructTag(st.Tag(i)).Get(r.tag)
		name, options, _ := strings.Cut(tag, ",")
		if name == "-" || !f.Exported() && !f.Embedded() {
			continue
		}
		if inner, pointer := embedded(f); inner != nil && r.inline(f, tag) {
			deeper := guards
			if pointer != nil {
				deeper = append(slices.Clip(guards), guard{path + f.Name(), pointer.Elem()})
			}
			r.read(inner, path+f.Name()+".", depth+1, deeper)
			continue
		}
		if !f.Exported() {
			continue
		}
		if name == "" {
			name = r.rename(f.Name())
		}
		out := field{path: path + f.Name(), wire: name, typ: f.Type(), guards: guards, pos: f.Pos()}
		if r.check(f, options, &out) {
			r.add(out, depth)
		}
	}
}

// embedded returns the struct that f may stand for, and the pointer type when there is a pointer to it.
func embedded(f *types.Var) (*types.Struct, *types.Pointer) {
	if isTime(f.Type()) {
		return nil, nil
	}
	switch u := f.Type().Underlying().(type) {
	case *types.Struct:
		return u, nil
	case *types.Pointer:
		if st, ok := u.Elem().Underlying().(*types.Struct); ok && f.Exported() && !isTime(u.Elem()) && !isBigInt(u) {
			return st, u
		}
	}
	return nil, nil
}

// inline says whether the fields of the struct f are fields of the outer struct.
func (r *fieldReader) inline(f *types.Var, tag string) bool {
	if r.tag == "msgpack" {
		return tag == ",inline" || f.Embedded() && (tag == "" || tag == ",omitempty")
	}
	return f.Embedded() && tag == ""
}

// check looks at the type and the tag options of a field. Its type is the same whatever the tag, so it is judged once.
func (r *fieldReader) check(f *types.Var, options string, out *field) bool {
	msg := ""
	if !r.seen[f.Pos()] {
		if msg = r.b.checkType(f.Type(), map[types.Type]bool{}); msg != "" {
			msg += ", or leave it out with the tag `" + r.tag + ":\"-\"`"
		}
	}
	switch {
	case r.tag == "java" && (msg == "" || options != ""):
		out.form, msg = parseForm(options, f.Type())
	case msg != "" || options == "" || options == "noinline":
	case options == "omitempty":
		out.omit = true
	default:
		msg = "has the msgpack tag option " + options + ", which generated code does not know: leave it out, or write AppendMsgpack and ReadMsgpack by hand"
	}
	r.seen[f.Pos()] = true
	if msg != "" {
		r.b.errorf(f.Pos(), "field %s of %s %s", f.Name(), r.owner, msg)
	}
	return msg == ""
}

func (r *fieldReader) add(f field, depth int) {
	for i, other := range r.fields {
		if other.wire != f.wire {
			continue
		}
		switch old := r.depth[f.wire]; {
		case old < depth:
		case old > depth:
			r.fields = append(append(r.fields[:i:i], r.fields[i+1:]...), f)
			r.depth[f.wire] = depth
		default:
			r.b.errorf(f.pos, "%s.%s and %s.%s are both %q on the wire: rename one with the tag `%s:\"name\"`", r.owner, other.path, r.owner, f.path, f.wire, r.tag)
		}
		return
	}
	r.fields, r.depth[f.wire] = append(r.fields, f), depth
}
