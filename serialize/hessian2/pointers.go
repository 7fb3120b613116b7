package hessian2

import "reflect"

// linear is how many pointers are compared one by one before a table is worth its keep.
const linear = 8

// pointers remembers which pointers have been written and under which reference number. It keeps its memory from one
// body to the next.
type pointers struct {
	list  []pointer
	slots []int32 // open addressing: index in list plus one; empty while list is short
	last  int     // how many slots the body before this one needed
}

type pointer struct {
	p   any // type and address: a struct and its first field have the same address
	n   int // the length of a slice whose first element this is, else 0
	ref int
}

// add returns the reference number of p and n and true, or remembers them under ref.
func (s *pointers) add(p any, n, ref int) (int, bool) {
	if len(s.slots) == 0 && len(s.list) < linear {
		for i := range s.list {
			if s.list[i].p == p && s.list[i].n == n {
				return s.list[i].ref, true
			}
		}
		s.list = append(s.list, pointer{p, n, ref})
		return 0, false
	}
	if 2*len(s.list) >= len(s.slots) {
		s.grow()
	}
	i := s.find(p, n)
	if k := s.slots[i]; k != 0 {
		return s.list[k-1].ref, true
	}
	s.list = append(s.list, pointer{p, n, ref})
	s.slots[i] = int32(len(s.list))
	return 0, false
}

// find returns the slot that holds p and n, or the one where they belong.
func (s *pointers) find(p any, n int) int {
	mask := len(s.slots) - 1
	h := uint64(reflect.ValueOf(p).Pointer()) * 0x9e3779b97f4a7c15
	for i := int(h>>32) & mask; ; i = (i + 1) & mask {
		if k := s.slots[i]; k == 0 || s.list[k-1].p == p && s.list[k-1].n == n {
			return i
		}
	}
}

func (s *pointers) grow() {
	n := max(8*linear, s.last)
	if len(s.slots) > 0 {
		n = 2 * len(s.slots)
	}
	if n <= cap(s.slots) {
		s.slots = s.slots[:n]
		clear(s.slots)
	} else {
		s.slots = make([]int32, n)
	}
	for i := range s.list {
		s.slots[s.find(s.list[i].p, s.list[i].n)] = int32(i + 1)
	}
}

// forget takes back the last pointer if it stands for ref.
func (s *pointers) forget(ref int) {
	last := len(s.list) - 1
	if last < 0 || s.list[last].ref != ref {
		return
	}
	if len(s.slots) > 0 {
		s.slots[s.find(s.list[last].p, s.list[last].n)] = 0 // nothing was put behind it yet
	}
	s.list[last] = pointer{}
	s.list = s.list[:last]
}

func (s *pointers) reset() {
	if cap(s.list) > maxPooled {
		*s = pointers{}
		return
	}
	clear(s.list)
	s.last = len(s.slots)
	s.list, s.slots = s.list[:0], s.slots[:0]
}
