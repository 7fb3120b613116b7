package zkembed

import "slices"

// applyAll performs the parts of a multi, all or none, and appends the body of its reply. A failed multi is not an error
// of the reply: every part says what became of it. Only one that cannot be understood is.
func (w *write) applyAll(parts []request, b []byte) ([]byte, Code) {
	w.multi = true
	start := len(b)
	for i := range parts {
		op := parts[i].op
		switch op {
		case OpCreateContainer, OpCreateTTL:
			op = OpCreate2 // their results are called so
		}
		b = appendPart(b, op, false, OK)
		var code Code
		if b, code = w.apply(&parts[i], b); code == OK {
			continue
		}
		w.rollBack()
		if code == MarshallingError {
			return b, code
		}
		return appendFailure(b[:start], len(parts), i, code), OK
	}
	return appendPart(b, opError, true, -1), OK
}

func (w *write) rollBack() {
	for _, f := range slices.Backward(w.undo) {
		f()
	}
	w.changes = w.changes[:0]
}

func appendPart(b []byte, op Op, done bool, code Code) []byte {
	return appendInt32(appendBool(appendInt32(b, int32(op)), done), int32(code))
}

// appendFailure appends the results of n parts of which the one at index failed: those before it are fine but undone.
func appendFailure(b []byte, n, failed int, code Code) []byte {
	for i := range n {
		c := code
		if i < failed {
			c = OK
		} else if i > failed {
			c = RuntimeInconsistency
		}
		b = appendInt32(appendPart(b, opError, false, c), int32(c))
	}
	return appendPart(b, opError, true, -1)
}
