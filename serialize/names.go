package serialize

import (
	"strings"
	"unicode"
)

// JavaName turns the name of a Go method or field into the one that Java uses for the same thing: capitals at the front
// become small, as far as they are one word. ID becomes id, IDs ids, UserID userID, URLPath urlPath.
func JavaName(name string) string {
	runes := []rune(name)
	n := 0
	for n < len(runes) && unicode.IsUpper(runes[n]) {
		n++
	}
	if n > 1 && n < len(runes) && unicode.IsLower(runes[n]) && string(runes[n:]) != "s" {
		n-- // the last capital begins the next word
	}
	return strings.ToLower(string(runes[:n])) + string(runes[n:])
}
