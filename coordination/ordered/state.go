package ordered

import (
	"encoding/binary"
	"errors"
)

// The records of a key's calls.
const (
	recordRunning byte = iota // begun; in a store: begun by an owner of which no end is known
	recordDone                // answer is what the service said
	recordUnknown             // may have run, and nobody can say
)

// A record is one call of a client that has begun.
type record struct {
	seq       uint64
	state     byte
	saving    bool      // done, and the store does not know yet: repeats wait
	answer    []byte    // see codec
	followers []*waiter // repeats of a running call
}

// A client is one consumer's part of a key.
type client struct {
	id      string
	next    uint64   // the seq that may begin next
	records []record // ascending; those from the consumer's base on
}

func (cl *client) record(seq uint64) *record {
	for i := range cl.records {
		if cl.records[i].seq == seq {
			return &cl.records[i]
		}
	}
	return nil
}

// rebase takes note that the client has answers to all calls before base, or wants none. Calls that did not begin never will.
func (cl *client) rebase(base uint64) {
	if base > cl.next {
		cl.next = base
	}
	n := 0
	for n < len(cl.records) && cl.records[n].seq < base && cl.records[n].state != recordRunning && !cl.records[n].saving {
		n++
	}
	if n > 0 {
		rest := copy(cl.records, cl.records[n:])
		clear(cl.records[rest:])
		cl.records = cl.records[:rest]
	}
}

const stateVersion = 1

var errState = errors.New("ordered: the stored state of a key is of an unknown form")

// appendState writes the clients of a key:
//
//	version, number of clients, then for each: id, next, number of records, then for each: seq, state, answer
//
// Numbers are varints, texts have their length before them.
func (k *key) appendState(b []byte) []byte {
	b = append(b, stateVersion)
	b = binary.AppendUvarint(b, uint64(len(k.name)))
	b = append(b, k.name...)
	b = binary.AppendUvarint(b, uint64(len(k.clients)))
	for _, cl := range k.clients {
		b = binary.AppendUvarint(b, uint64(len(cl.id)))
		b = append(b, cl.id...)
		b = binary.AppendUvarint(b, cl.next)
		b = binary.AppendUvarint(b, uint64(len(cl.records)))
		for i := range cl.records {
			r := &cl.records[i]
			b = binary.AppendUvarint(b, r.seq)
			b = append(b, r.state)
			b = binary.AppendUvarint(b, uint64(len(r.answer)))
			b = append(b, r.answer...)
		}
	}
	return b
}

// A stateReader reads what appendState wrote; after an error it gives zeros.
type stateReader struct {
	b   []byte
	bad bool
}

func (r *stateReader) number() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.bad, r.b = true, nil
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *stateReader) bytes() []byte {
	n := r.number()
	if n > uint64(len(r.b)) {
		r.bad, r.b = true, nil
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *stateReader) byte() byte {
	if len(r.b) == 0 {
		r.bad = true
		return 0
	}
	v := r.b[0]
	r.b = r.b[1:]
	return v
}

// keyOfState is whose state it is.
func keyOfState(b []byte) (key string, ok bool) {
	r := stateReader{b: b}
	version, name := r.byte(), r.bytes()
	return string(name), version == stateVersion && !r.bad
}

// readState fills the key with stored clients. A call that had begun and has no end is of an owner that is no more: it may run again,
// or its outcome is unknown.
func (k *key) readState(b []byte, again bool) error {
	if len(b) == 0 {
		return nil
	}
	r := stateReader{b: b}
	if r.byte() != stateVersion || string(r.bytes()) != k.name {
		return errState
	}
	for n := r.number(); n > 0 && !r.bad; n-- {
		cl := &client{id: string(r.bytes()), next: r.number()}
		for m := r.number(); m > 0 && !r.bad; m-- {
			rec := record{seq: r.number(), state: r.byte()}
			if a := r.bytes(); len(a) > 0 {
				rec.answer = append([]byte(nil), a...)
			}
			switch {
			case rec.state > recordUnknown:
				r.bad = true
			case rec.state == recordRunning && again:
				cl.next = rec.seq
				continue
			case rec.state == recordRunning:
				rec.state = recordUnknown
			}
			cl.records = append(cl.records, rec)
		}
		k.clients[cl.id] = cl
	}
	if r.bad || len(r.b) > 0 {
		clear(k.clients)
		return errState
	}
	return nil
}
