package protocol

// Attachments are string pairs that travel beside the arguments: key, value, key, value. They are short, so a walk beats a map.
type Attachments []string

// Get returns the value of key and whether it is there.
func (a Attachments) Get(key string) (string, bool) {
	for i := 0; i+1 < len(a); i += 2 {
		if a[i] == key {
			return a[i+1], true
		}
	}
	return "", false
}

// Value returns the value of key, or the empty string.
func (a Attachments) Value(key string) string {
	v, _ := a.Get(key)
	return v
}

// Set stores a pair, in the place of an older one with the same key. The old array is left as it is, since others may share it.
func (a *Attachments) Set(key, value string) {
	s := *a
	for i := 0; i+1 < len(s); i += 2 {
		if s[i] == key {
			s = append(Attachments(nil), s...)
			s[i+1] = value
			*a = s
			return
		}
	}
	*a = append(s[:len(s):len(s)], key, value)
}
