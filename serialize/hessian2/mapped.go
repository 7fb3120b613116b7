package hessian2

// AtMap says whether a map stands where an object is expected: that is what a peer without the class sends, and what the
// arguments of generic calls are. Its entries are read like this:
//
//	if r.AtMap() {
//		if r.Map() {
//			for r.MoreEntries() {
//				switch r.Field(classUser) {
//				case 0: u.ID = r.Long()
//				default: r.Skip()
//				}
//			}
//		}
//		return r.Err()
//	}
func (r *Reader) AtMap() bool {
	if r.pos >= len(r.src) {
		return false
	}
	b := r.src[r.pos]
	if b == tagRef {
		at := r.pos
		i, ok := r.refNumber()
		if !ok {
			return false
		}
		r.pos = at
		b = r.src[r.slots[i].off]
	}
	return b == tagMap || b == tagMapTyped
}

// Field reads the key of a map entry as the name of a field and returns the field's index in c.Fields, or -1 for any
// other key. The value must be read or passed over next.
func (r *Reader) Field(c *Class) int16 {
	if b, ok := r.tag("map"); ok && isString(b) {
		return c.index(r.rawString())
	}
	r.Skip()
	return -1
}
