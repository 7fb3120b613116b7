package gen

import (
	"go/types"
	"strings"
)

// emitRow prints the type of a method's arguments or reply. call is the type of the pooled call that an argument row
// points back to; a reply has none.
func emitRow(pr *printer, p *pkg, name string, values []value, call string) {
	letter := "A"
	if call == "" {
		letter = "R"
	}
	pr.P("type %s struct {", name)
	for i, v := range values {
		pr.P("%s%d %s", letter, i, pr.typ(v.typ))
	}
	if call != "" {
		pr.P("call *%s", call)
	}
	pr.P("}\n")
	pr.P("func (a *%s) Len() int { return %d }\n", name, len(values))
	if len(values) == 0 {
		pr.P("func (a *%s) At(int) any { return nil }\n", name)
		return
	}
	if values[0].message {
		// The message itself, not the pointer to it, is what a format writes and reads.
		pr.P("func (a *%s) At(int) any {\nif a.%s0 == nil {\na.%s0 = new(%s)\n}\nreturn a.%s0\n}\n", name, letter, letter,
			strings.TrimPrefix(pr.typ(values[0].typ), "*"), letter)
		return
	}
	pr.P("func (a *%s) At(i int) any {\nswitch i {", name)
	for i := range values {
		pr.P("case %d:\nreturn &a.%s%d", i, letter, i)
	}
	pr.P("}\nreturn nil\n}\n")
	emitHessianRow(pr, p, name, letter, values)
	emitMsgpackRow(pr, p, name, letter, values)

}

// flatType says whether assigning a value of the type copies it: nothing in it is shared.
func flatType(t types.Type) bool {
	if isTime(t) {
		return true
	}
	switch u := t.Underlying().(type) {
	case *types.Basic:
		return true
	case *types.Struct:
		for f := range u.Fields() {
			if !flatType(f.Type()) {
				return false
			}
		}
		return true
	}
	return false
}
