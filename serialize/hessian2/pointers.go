package hessian2

import "reflect"

// linear is how many pointers are compared one by one before a table is worth its keep.
const linear = 8

// pointers remembers which pointers have been written and under which reference number. It keeps its memory from one
// body to the next.
type pointers struct {
	list  []pointer
	slots []int32 // open addressing: index in list plus one; empty while list is short
}

type pointer struct {
	p   any // type and address: a struct and its first field have the same address
	ref int
}

// add returns the reference number of p and true, or remembers it under ref.
func (s *pointers) add(p any, ref int) (int, bool) {
	if len(s.list) < linear {
		for i := range s.list {
			if s.list[i].p == p {
				return s.list[i].ref, true
			}
		}
		s.list = append(s.list, pointer{p, ref})
		return 0, false
	}
	if 2*len(s.list) >= len(s.slots) {
		s.grow()
	}
	i := s.find(p)
	if n := s.slots[i]; n != 0 {
		return s.list[n-1].ref, true
	}
	s.list = append(s.list, pointer{p, ref})
	s.slots[i] = int32(len(s.list))
	return 0, false
}

// find returns the slot that holds p, or the one where it belongs.
func (s *pointers) find(p any) int {
	mask := len(s.slots) - 1
	h := uint64(reflect.ValueOf(p).Pointer()) * 0x9e3779b97f4a7c15
	for i := int(h>>32) & mask; ; i = (i + 1) & mask {
		if n := s.slots[i]; n == 0 || s.list[n-1].p == p {
			return i
		}
	}
}

func (s *pointers) grow() {
	n := 8 * linear
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
		s.slots[s.find(s.list[i].p)] = int32(i + 1)
	}
}

func (s *pointers) reset() {
	if cap(s.list) > maxPooled {
		*s = pointers{}
		return
	}
	clear(s.list)
	s.list, s.slots = s.list[:0], s.slots[:0]
}
