package gen

import (
	"go/token"
	"go/types"
)

// applySignature makes a method what its //ferry:method says.
func (b *builder) applySignature(m *method, d directive, at place) {
	s, problem := parseSignature(d.args)
	if problem != "" {
		b.errorf(d.pos, "%s", problem)
		return
	}
	m.wire = s.name
	if s.listed && len(s.types) != len(m.args) {
		b.errorf(d.pos, "%s has %d parameters behind ctx, the directive names %d", m.name, len(m.args), len(s.types))
		return
	}
	for i, java := range s.types {
		b.applyJava(&m.args[i], java, at.param(i+1), m.name+": parameter "+m.args[i].name)
	}
	if s.result == "" {
		return
	}
	switch {
	case m.reply != nil && s.result != "V":
		b.applyJava(m.reply, s.result, at.result(0), m.name+": the reply")
	case (m.reply == nil) != (s.result == "V"):
		b.errorf(d.pos, "%s: the directive and the Go method differ in whether there is a reply", m.name)
	}
}

// applyJava gives a value the Java type that a directive names, if its Go type can travel as that.
func (b *builder) applyJava(v *value, java string, pos token.Pos, what string) {
	f, ok := b.formOf(v.typ, java)
	if !ok {
		b.errorf(pos, "%s is %s, which cannot travel as %s", what, types.TypeString(v.typ, types.RelativeTo(b.types)), javaName(java))
		return
	}
	v.java, v.form = java, f
}
