package gen

// emitClass prints the codecs of a struct.
func emitClass(pr *printer, p *pkg, c *class) {
	name := c.obj.Name()
	if !hasMethod(c.obj.Type(), "JavaClassName") {
		pr.P("// JavaClassName is the class of %s in Java.", name)
		pr.P("func (*%s) JavaClassName() string { return %q }\n", name, c.java)
	}
	if c.enum {
		pr.P("var class%s = %s.NewClass(%q, \"name\")\n", name, pr.use(hessianPkg, "hessian2"), c.java)
		return
	}
	emitHessianClass(pr, p, c)
	emitMsgpackClass(pr, p, c)
}
