package gen

import (
	"go/types"
	"strings"
	"unicode"
)

// primitives are Java's primitive types by name.
var primitives = map[string]string{"boolean": "Z", "byte": "B", "char": "C", "short": "S", "int": "I", "long": "J",
	"float": "F", "double": "D", "void": "V"}

// wrappers are the classes that hold a primitive or null.
var wrappers = map[string]string{"Z": "Ljava/lang/Boolean;", "B": "Ljava/lang/Byte;", "C": "Ljava/lang/Character;",
	"S": "Ljava/lang/Short;", "I": "Ljava/lang/Integer;", "J": "Ljava/lang/Long;", "F": "Ljava/lang/Float;", "D": "Ljava/lang/Double;"}

// javaDescriptor turns a Java type name into its JVM descriptor. Generic parameters are erased, as Java does.
func javaDescriptor(name string) (string, bool) {
	dims := ""
	for strings.HasSuffix(name, "[]") {
		name, dims = strings.TrimSpace(strings.TrimSuffix(name, "[]")), dims+"["
	}
	if i := strings.IndexByte(name, '<'); i > 0 && strings.HasSuffix(name, ">") {
		name = name[:i]
	}
	if d, ok := primitives[name]; ok {
		return dims + d, d != "V" || dims == ""
	}
	if !javaClass(name) {
		return "", false
	}
	if !strings.Contains(name, ".") {
		if d, ok := shortNames[name]; ok {
			name = d
		}
	}
	return dims + "L" + strings.ReplaceAll(name, ".", "/") + ";", true
}

// shortNames are the classes that Java sources use without a package.
var shortNames = map[string]string{"String": "java.lang.String", "Object": "java.lang.Object", "Boolean": "java.lang.Boolean",
	"Byte": "java.lang.Byte", "Character": "java.lang.Character", "Short": "java.lang.Short", "Integer": "java.lang.Integer",
	"Long": "java.lang.Long", "Float": "java.lang.Float", "Double": "java.lang.Double"}

// javaIdentifier says whether s is one Java name.
func javaIdentifier(s string) bool {
	for i, r := range s {
		if r != '_' && r != '$' && !unicode.IsLetter(r) && (i == 0 || !unicode.IsDigit(r)) {
			return false
		}
	}
	return s != ""
}

// javaClass says whether s is a class name, with or without its package.
func javaClass(s string) bool {
	for part := range strings.SplitSeq(s, ".") {
		if !javaIdentifier(part) {
			return false
		}
	}
	return true
}

// scalarDescriptor returns the descriptor of a basic Go type and whether Java has one. Unsigned numbers take the smallest
// Java type that holds them.
func scalarDescriptor(t *types.Basic) (string, bool) {
	switch t.Kind() {
	case types.Bool:
		return "Z", true
	case types.Int8:
		return "B", true
	case types.Int16, types.Uint8:
		return "S", true
	case types.Int32, types.Uint16:
		return "I", true
	case types.Int, types.Int64, types.Uint, types.Uint32, types.Uint64:
		return "J", true
	case types.Float32:
		return "F", true
	case types.Float64:
		return "D", true
	case types.String:
		return "Ljava/lang/String;", true
	}
	return "", false
}

// named says whether t is the named type path.name.
func named(t types.Type, path, name string) bool {
	n, ok := types.Unalias(t).(*types.Named)
	return ok && n.Obj().Pkg() != nil && n.Obj().Pkg().Path() == path && n.Obj().Name() == name
}

func isTime(t types.Type) bool { return named(t, "time", "Time") }

// isBigInt says whether t is *big.Int.
func isBigInt(t types.Type) bool {
	p, ok := types.Unalias(t).(*types.Pointer)
	return ok && named(p.Elem(), "math/big", "Int")
}

// isBytes says whether t is a slice of bytes.
func isBytes(t types.Type) bool {
	s, ok := t.Underlying().(*types.Slice)
	if !ok {
		return false
	}
	e, ok := s.Elem().Underlying().(*types.Basic)
	return ok && e.Kind() == types.Uint8
}

// isAny says whether t is an interface without methods.
func isAny(t types.Type) bool {
	i, ok := t.Underlying().(*types.Interface)
	return ok && i.NumMethods() == 0 && !i.IsComparable()
}

// javaName is the reverse of javaDescriptor.
func javaName(descriptor string) string {
	if rest, ok := strings.CutPrefix(descriptor, "["); ok {
		return javaName(rest) + "[]"
	}
	for name, d := range primitives {
		if d == descriptor {
			return name
		}
	}
	return strings.ReplaceAll(strings.TrimSuffix(strings.TrimPrefix(descriptor, "L"), ";"), "/", ".")
}
