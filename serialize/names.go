package serialize

import "unicode"

// JavaName turns the name of a Go method or field into the one that Java uses for the same thing: the first word in
// lower case, where a run of capitals at the front is one word. ID becomes id, UserID userID, URLPath urlPath.
func JavaName(name string) string {
	runes := []rune(name)
	n := 0
	for n < len(runes) && unicode.IsUpper(runes[n]) {
		n++
	}
	if n > 1 && n < len(runes) && unicode.IsLower(runes[n]) {
		n-- // the last capital begins the next word
	}
	for i := range n {
		runes[i] = unicode.ToLower(runes[i])
	}
	return string(runes)
}
