package triple

import (
	"encoding/json"
	"strings"
)

// convertTable is the value of tri-header-convert: a JSON object from the keys as headers have them to the keys as they
// were (Dubbo, StreamUtils).
func convertTable(pairs []string) string {
	m := make(map[string]string, len(pairs)/2)
	for i := 0; i+1 < len(pairs); i += 2 {
		m[pairs[i]] = pairs[i+1]
	}
	b, err := json.Marshal(m)
	if err != nil {
		return "{}" // strings always have a form
	}
	return string(b)
}

// convertNames reads convertTable's text. A name that is not the key's own in other letters does not count.
func convertNames(values []string) map[string]string {
	if len(values) == 0 {
		return nil
	}
	var m map[string]string
	if json.Unmarshal([]byte(decodeMessage(values[0])), &m) != nil {
		return nil
	}
	for lower, name := range m {
		if strings.ToLower(name) != lower {
			delete(m, lower)
		}
	}
	return m
}
